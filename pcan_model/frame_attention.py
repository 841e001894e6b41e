"""Frame-level prototypical cross-attention (PCAN sec. 3.3.1, Figure 2) of one pyramid level."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcan_model.config import FrameAttentionConfig
from pcan_model.prototypes import aggregate, fit_prototypes, read, unit_keys, value_prototypes


class FrameAttention(nn.Module):
    """Reads past frames through their prototypes and fuses them with the current features.

    Key and value are two parallel 1x1 convolutions (the paper gives no kernel). The fusion is a
    residual 1x1 convolution that starts at zero, so an untrained memory changes nothing.
    """

    def __init__(self, channels: int, config: FrameAttentionConfig) -> None:
        super().__init__()
        self.sigma2, self.steps = config.sigma2, config.em_steps
        self.key = nn.Conv2d(channels, config.key_channels, 1)
        self.value = nn.Conv2d(channels, config.value_channels, 1)
        self.mu = nn.Parameter(unit_keys(torch.randn(config.prototypes, config.key_channels)))
        self.scale = nn.Parameter(torch.tensor(config.value_channels**-0.5))  # of Eq. 7
        self.fuse = nn.Conv2d(2 * config.value_channels, channels, 1)
        nn.init.zeros_(self.fuse.weight)
        nn.init.zeros_(self.fuse.bias)  # type: ignore[arg-type]

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys (B, H * W, D) and values (B, H * W, Cv) of features (B, C, H, W)."""
        return unit_keys(self.key(x).flatten(2).mT), self.value(x).flatten(2).mT

    def condense(self, keys: Tensor, values: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Turn one frame into N key and value prototypes (Eq. 2 to 4).

        start    (B, N, D)  means to begin with, those of the frame before, so that prototype j
                 keeps looking at the same part; None: the learned ones
        returns  (B, N, D), (B, N, Cv)
        """
        mu = self.mu.expand(len(keys), -1, -1) if start is None else start
        mu = fit_prototypes(keys, None, mu, sigma2=self.sigma2, steps=self.steps)
        return mu, value_prototypes(keys, values, mu, self.sigma2)

    def forward(
        self,
        x: Tensor,
        keys: Tensor,
        values: Tensor,
        memory_keys: Tensor,
        memory_values: Tensor,
        valid: Tensor,
    ) -> Tensor:
        """Fuse features with the memory (Eq. 6 and 7).

        x              (B, C, H, W), with its keys and values from `encode`
        memory_keys    (B, T, N, D), memory_values (B, T, N, Cv)
        valid          (B, T)  1 where the memory frame exists
        returns        (B, C, H, W)
        """
        frames = memory_keys.unbind(1), memory_values.unbind(1)
        readings = [read(keys, mu, v, self.sigma2) for mu, v in zip(*frames, strict=True)]
        blended = aggregate(values, torch.stack(readings, 1), valid, self.scale)
        pair = torch.cat([blended, values.float()], -1).mT.unflatten(-1, x.shape[-2:])
        return x + self.fuse(pair.to(x.dtype))
