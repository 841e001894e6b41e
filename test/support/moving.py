"""A clip of drifting textured blocks, and its tracks."""

from __future__ import annotations

from uuid import UUID

import numpy as np

from pcan_model.core.engine import Engine
from pcan_model.core.structures import Frame, Tracks
from pcan_model.tracking.tracker import Tracker


def moving_blocks(frames: int, height: int = 128, width: int = 192, seed: int = 0) -> list[Frame]:
    """Return an image of noise blocks that drifts to the left and, from its end, back."""
    noise = np.random.default_rng(seed).integers(0, 255, (height // 12 + 1, width // 6, 3), np.uint8)
    scene = noise.repeat(12, axis=0).repeat(12, axis=1)
    room = scene.shape[1] - width
    shifts = [room - abs(4 * i % (2 * room) - room) for i in range(frames)]
    cut = [scene[:height, x : x + width] for x in shifts]
    return [Frame(np.ascontiguousarray(pixels), i / 10) for i, pixels in enumerate(cut)]


def track(engine: Engine, frames: list[Frame]) -> list[Tracks]:
    """Return the tracks of every frame."""
    tracker, said = Tracker(engine), []
    state = tracker.start(UUID(int=1))
    for frame in frames:
        state, tracks = tracker.step(state, frame)
        said.append(tracks)
    return said
