"""Non-local space-time memory reading (PCAN sec. 3.1, Eq. 1; Oh et al. 2019), a baseline in Table 5."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcan_model.core.config import FrameAttentionConfig
from pcan_model.model.frame_attention.base import FrameAttention
from pcan_model.model.prototypes import full_precision


class NonLocalAttention(FrameAttention):
    """Stores every position of T frames; each position of the current frame attends to all of them."""

    def __init__(self, channels: int, config: FrameAttentionConfig) -> None:
        super().__init__(channels, config)
        self.key = nn.Conv2d(channels, config.key_channels, 1)
        self.value = nn.Conv2d(channels, config.value_channels, 1)

    @staticmethod
    def row_shape(config: FrameAttentionConfig, positions: int) -> tuple[int, int]:
        """Return one row per position and the key channels."""
        return positions, config.key_channels

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values of every position."""
        return self.key(x).flatten(2).mT.float(), self.value(x).flatten(2).mT

    def read(
        self, keys: Tensor, values: Tensor, memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> Tensor:
        """Attend to all positions of all memory frames at once."""
        reading = attend(keys, memory_keys, memory_values, valid)
        return torch.where(valid.any(1)[:, None, None], reading, values.float())


@full_precision
def attend(queries: Tensor, keys: Tensor, values: Tensor, valid: Tensor) -> Tensor:
    """Read the whole memory by one softmax (Eq. 1, scaled by 1 / sqrt(D) as in Oh et al.).

    queries (B, N, D), keys (B, T, M, D), values (B, T, M, C)
    valid   (B, T)     1 where the memory frame exists
    returns (B, N, C)
    """
    absent = ((valid - 1) * 1e9).repeat_interleave(keys.shape[2], 1)[:, None]  # (B, 1, T * M)
    keys, values = keys.flatten(1, 2).float(), values.flatten(1, 2).float()
    logits = torch.baddbmm(absent, queries.float(), keys.mT, alpha=queries.shape[-1] ** -0.5)
    return torch.softmax(logits, -1) @ values
