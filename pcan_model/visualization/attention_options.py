"""Options of an attention figure; no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pcan_model.core.fields import about, setting


@dataclass(frozen=True, slots=True)
class AttentionOptions:
    """The clip, track and frames of an attention figure."""

    clip: Path = field(metadata=about("video, or folder of images"))
    weights: Path = field(metadata=about("checkpoint (.safetensors) with instance prototypes"))
    track: int | None = setting(None, "track to draw (default: that with the largest total area)")
    frames: int = setting(5, "frames to draw", low=1)
    every: int = setting(2, "interval between drawn frames", low=1)
    until: int | None = setting(None, "number of images to read (default: all)", low=1)
    prototypes: int = setting(3, "foreground and background prototypes with their own row", low=0)
    out: Path = setting(Path("attention.png"), "image to write", writes=True)
