"""Factory for `frame_attention.kind`."""

from __future__ import annotations

from pcan_model.core.config import Config, FrameAttentionConfig
from pcan_model.model.frame_attention.base import FrameAttention
from pcan_model.model.frame_attention.non_local import NonLocalAttention
from pcan_model.model.frame_attention.prototypical import PrototypicalAttention
from pcan_model.model.frame_attention.transformer import TransformerAttention

KINDS: dict[str, type[FrameAttention]] = {
    "prototypical": PrototypicalAttention,
    "non_local": NonLocalAttention,
    "transformer": TransformerAttention,
}


def make_frame_attention(channels: int, config: FrameAttentionConfig) -> FrameAttention:
    """Build the attention of one pyramid level with C channels."""
    return KINDS[config.kind](channels, config)


def memory_shapes(config: Config) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of one camera's memory keys (L, T, N, D) and values (L, T, N, Cv).

    N is the rows of the largest level; smaller levels leave the last rows unused.
    """
    frame, image = config.frame_attention, config.input
    kind = KINDS[frame.kind]
    positions = [(image.height >> level) * (image.width >> level) for level in frame.levels]
    rows, channels = kind.row_shape(frame, max(positions, default=0))
    shape = (len(frame.levels), frame.memory_frames, rows)
    return (*shape, channels), (*shape, frame.value_channels)
