"""Frame-level prototypical cross-attention (PCAN sec. 3.3.1, Figure 2) of one pyramid level."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pcan_model.core.config import FrameAttentionConfig
from pcan_model.model.frame_attention.base import FrameAttention
from pcan_model.model.prototypes import fit_prototypes, read_memory, unit_keys, value_prototypes
from pcan_model.model.recompute import recomputed


class PrototypicalAttention(FrameAttention):
    """Condenses each frame into N prototypes, through which later frames read it.

    Key and value are two parallel 1x1 convolutions (the paper gives no kernel size).
    """

    def __init__(self, channels: int, config: FrameAttentionConfig) -> None:
        super().__init__(channels, config)
        self.sigma2, self.steps = config.sigma2, config.em_steps
        self.key = nn.Conv2d(channels, config.key_channels, 1)
        self.value = nn.Conv2d(channels, config.value_channels, 1)
        self.mu = nn.Parameter(unit_keys(torch.randn(config.prototypes, config.key_channels)))
        self.scale = nn.Parameter(torch.tensor(config.value_channels**-0.5))  # of Eq. 7

    @staticmethod
    def row_shape(config: FrameAttentionConfig, positions: int) -> tuple[int, int]:
        """Return N prototypes and D key channels, whatever the size of the frame."""
        return config.prototypes, config.key_channels

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit-length keys, and values."""
        return recomputed(self._unit_keys, x), self.value(x).flatten(2).mT

    def _unit_keys(self, x: Tensor) -> Tensor:
        return unit_keys(self.key(x).flatten(2).mT)

    def begin(self, previous: Tensor, known: Tensor) -> Tensor:
        """Start from the previous frame's means, so that prototype j stays on the same part of the scene."""
        return torch.where(known > 0, previous, self.mu[None])

    def condense(self, keys: Tensor, values: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Condense one frame into N key and value prototypes (Eq. 2 to 4), starting from learned means."""
        mu = self.mu.expand(len(keys), -1, -1) if start is None else start
        mu = fit_prototypes(keys, None, mu, sigma2=self.sigma2, steps=self.steps)
        return mu, value_prototypes(keys, values, mu, self.sigma2)

    def remember(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See the base class; Eq. 4 is linear, so the N means are convolved instead of all positions.

        A constant 1 appended to each feature carries the bias, so that components without positions stay 0.
        """
        keys, features = recomputed(self._unit_keys, x), functional.pad(x.flatten(2).mT, (0, 1), value=1.0)
        mu, means = self.condense(keys, features)
        weight = torch.cat([self.value.weight[..., 0, 0], self.value.bias[:, None]], 1)  # type: ignore[index]
        return mu, functional.linear(means, weight)

    def read(
        self, keys: Tensor, values: Tensor, memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> Tensor:
        """Attend to each memory frame separately (Eq. 6), and blend by similarity (Eq. 7)."""
        frames = memory_keys, memory_values
        return read_memory(keys, values, frames, valid, sigma2=self.sigma2, scale=self.scale)
