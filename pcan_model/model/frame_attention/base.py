"""What every kind of frame-level attention offers, and what all of them share."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from pcan_model.core.config import FrameAttentionConfig


class FrameAttention(nn.Module):
    """Reads past frames into the features of the current one, on one pyramid level.

    A kind defines what a frame leaves in the memory (`encode`, `condense`) and how it is read (`read`);
    perhaps a shorter way to it where the frame itself reads nothing (`remember`).
    The fusion is the same for all: a residual 1x1 convolution that starts at zero, so that an
    untrained memory changes nothing.
    """

    def __init__(self, channels: int, config: FrameAttentionConfig) -> None:
        super().__init__()
        self.fuse = nn.Conv2d(2 * config.value_channels, channels, 1)
        nn.init.zeros_(self.fuse.weight)
        nn.init.zeros_(self.fuse.bias)  # type: ignore[arg-type]

    @staticmethod
    def row_shape(config: FrameAttentionConfig, positions: int) -> tuple[int, int]:
        """Return what one frame of H * W positions leaves: rows N, and channels D of each key."""
        raise NotImplementedError

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys (B, H * W, D) and values (B, H * W, Cv) of features (B, C, H, W)."""
        raise NotImplementedError

    def begin(self, previous: Tensor, known: Tensor) -> Tensor | None:
        """Return where to start condensing from: the frame before (B, N, D) if it is known ()."""
        return None

    def condense(self, keys: Tensor, values: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return what one frame leaves in the memory, (B, N, D) and (B, N, Cv); here the frame itself."""
        return keys, values

    def remember(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what a frame that reads nothing leaves, as `condense` of `encode`; x (B, C, H, W)."""
        return self.condense(*self.encode(x))

    def read(
        self, keys: Tensor, values: Tensor, memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> Tensor:
        """Return the reading of the memory at each position (B, H * W, Cv); `values` where there is none."""
        raise NotImplementedError

    def forward(
        self,
        x: Tensor,
        keys: Tensor,
        values: Tensor,
        memory_keys: Tensor,
        memory_values: Tensor,
        valid: Tensor,
    ) -> Tensor:
        """Fuse features with the memory.

        x              (B, C, H, W), with its keys and values from `encode`
        memory_keys    (B, T, N, D), memory_values (B, T, N, Cv)
        valid          (B, T)  1 where the memory frame exists
        returns        (B, C, H, W)
        """
        blended = self.read(keys, values, memory_keys, memory_values, valid)
        read, own = self.fuse.weight[..., 0, 0].split(values.shape[-1], 1)  # never side by side: less memory
        fused = functional.linear(blended, read, self.fuse.bias) + functional.linear(values.float(), own)
        return x + fused.to(x.dtype).mT.unflatten(-1, x.shape[-2:])
