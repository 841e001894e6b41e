"""Multi-head self-attention over the whole tube (a transformer encoder), a baseline in Table 5."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from pcan_model.core.config import FrameAttentionConfig
from pcan_model.model.frame_attention.base import FrameAttention


class TransformerAttention(FrameAttention):
    """Stores every position of T frames as a token; every token of the tube attends to every other.

    The layers are those of DETR and VisTR: sine position encodings (row, column, frame) added to queries
    and keys, and a hidden layer of eight times the width. A token's key is its position in the image.
    """

    def __init__(self, channels: int, config: FrameAttentionConfig) -> None:
        super().__init__(channels, config)
        self.value = nn.Conv2d(channels, config.value_channels, 1)
        self.layers = nn.ModuleList(
            EncoderLayer(config.value_channels, config.heads) for _ in range(config.layers)
        )

    @staticmethod
    def row_shape(config: FrameAttentionConfig, positions: int) -> tuple[int, int]:
        """Return one row per position, with its row and column in the image."""
        return positions, 2

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the row and column of each position in [0, 1], and its token."""
        sides = [torch.linspace(0, 1, side, device=x.device) for side in x.shape[-2:]]
        grid = torch.stack(torch.meshgrid(*sides, indexing="ij"), -1).flatten(0, 1)
        return grid.expand(len(x), -1, -1), self.value(x).flatten(2).mT

    def read(
        self, keys: Tensor, values: Tensor, memory_keys: Tensor, memory_values: Tensor, valid: Tensor
    ) -> Tensor:
        """Encode the tube of the current and the memory frames; return the current frame's tokens."""
        points = torch.cat([keys[:, None], memory_keys], 1)  # (B, 1 + T, N, 2)
        age = torch.linspace(0, 1, points.shape[1], device=points.device)
        age = age[:, None, None].expand(len(points), -1, points.shape[2], 1)
        position = sine_encoding(torch.cat([points, age], -1).flatten(1, 2), values.shape[-1])
        tokens = torch.cat([values[:, None].float(), memory_values.float()], 1).flatten(1, 2)
        present = functional.pad(valid, (1, 0), value=1.0).repeat_interleave(keys.shape[1], 1)
        for layer in self.layers:
            tokens = layer(tokens, position, (present - 1) * 1e9)
        return tokens[:, : keys.shape[1]].float()


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward block, each followed by a residual connection and a norm."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.hidden = nn.Linear(channels, 8 * channels)
        self.out = nn.Linear(8 * channels, channels)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))

    def forward(self, tokens: Tensor, position: Tensor, absent: Tensor) -> Tensor:
        """Encode tokens with positions (B, S, C); absent (B, S) is added to the attention logits."""
        query = tokens + position
        attended, _ = self.attention(query, query, tokens, key_padding_mask=absent, need_weights=False)
        tokens = self.norms[0](tokens + attended)
        encoded: Tensor = self.norms[1](tokens + self.out(self.hidden(tokens).relu()))
        return encoded


def sine_encoding(points: Tensor, channels: int) -> Tensor:
    """Return sines and cosines (..., channels) of coordinates (..., P) in [0, 1] at geometric frequencies."""
    steps = channels // (2 * points.shape[-1])
    frequencies = 10_000.0 ** (-torch.arange(steps, device=points.device) / max(steps, 1))
    angles = 2 * math.pi * points[..., None] * frequencies
    waves = torch.cat([angles.sin(), angles.cos()], -1).flatten(-2)
    return functional.pad(waves, (0, channels - waves.shape[-1]))
