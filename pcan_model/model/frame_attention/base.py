"""Base class of all kinds of frame-level attention."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from pcan_model.core.config import FrameAttentionConfig


class FrameAttention(nn.Module):
    """Fuses past frames into the features of the current one, on one pyramid level.

    A subclass defines what a frame stores in the memory (`encode`, `condense`) and how the memory is read
    (`read`), and may define a shortcut for frames that read nothing (`remember`).
    All kinds share the fusion: a residual 1x1 convolution that starts at zero, so that an
    untrained memory changes nothing.
    """

    def __init__(self, channels: int, config: FrameAttentionConfig) -> None:
        super().__init__()
        self.fuse = nn.Conv2d(2 * config.value_channels, channels, 1)
        nn.init.zeros_(self.fuse.weight)
        nn.init.zeros_(self.fuse.bias)  # type: ignore[arg-type]

    @staticmethod
    def row_shape(config: FrameAttentionConfig, positions: int) -> tuple[int, int]:
        """Return rows N and key channels D that one frame of H * W positions stores."""
        raise NotImplementedError

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys (B, H * W, D) and values (B, H * W, Cv) of features (B, C, H, W)."""
        raise NotImplementedError

    def begin(self, previous: Tensor, known: Tensor) -> Tensor | None:
        """Return the start (B, N, D) of `condense` from the previous frame's keys, if those exist ()."""
        return None

    def condense(self, keys: Tensor, values: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the keys (B, N, D) and values (B, N, Cv) that a frame stores; by default all."""
        return keys, values

    def remember(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return `condense` of `encode` of features (B, C, H, W), for a frame that reads nothing."""
        return self.condense(*self.encode(x))

    def read(
        self, keys: Tensor, values: Tensor, memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> Tensor:
        """Read the memory at each position (B, H * W, Cv); returns `values` where it is empty."""
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
        blended, values = (rows.mT.unflatten(-1, x.shape[-2:]) for rows in (blended, values.float()))
        read, own = self.fuse.weight.split(values.shape[1], 1)  # not concatenated: less memory
        x = x + functional.conv2d(values, own).to(x.dtype)
        return x + functional.conv2d(blended, read, self.fuse.bias).to(x.dtype)
