"""What an attention figure shows; no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pcan_model.core.fields import about, setting


@dataclass(frozen=True, slots=True)
class AttentionOptions:
    """One figure: a track of a clip in some of its frames."""

    clip: Path = field(metadata=about("video, or folder of images"))
    weights: Path = field(metadata=about("checkpoint (.safetensors) with instance prototypes"))
    track: int | None = setting(None, "which track; without it the one seen largest and longest")
    frames: int = setting(5, "frames to draw", low=1)
    every: int = setting(2, "frames from one to the next", low=1)
    until: int | None = setting(None, "only the first images of the clip", low=1)
    prototypes: int = setting(3, "rows of single prototypes per side", low=0)
    out: Path = setting(Path("attention.png"), "image to write")
