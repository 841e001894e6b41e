"""Hand-made detections and the association of one frame, for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.structures import Detections, State
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.tracking.association import NONE, match, unique_detections
from pcan_model.tracking.track_management import update_tracks

CONFIG = TrackerConfig()


Floats = NDArray[np.float32]


def f32(values: Any) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


def detections(boxes: Any, scores: Any, labels: Any = None, embeds: Any = None) -> Detections:
    n = len(scores)
    return Detections(
        np.asarray(boxes, np.float32).reshape(n, 4),
        np.asarray(scores, np.float32),
        np.zeros(n, np.int64) if labels is None else np.asarray(labels, np.int64),
        np.eye(n, 8, dtype=np.float32) * 10 if embeds is None else np.asarray(embeds, np.float32),
        np.arange(n),
    )


def advance(
    state: State, found: Detections, frame: int, config: TrackerConfig
) -> tuple[list[int], State, Detections]:
    """Associate one frame; returns ids of the kept detections from 0, next state, and detections."""
    found = unique_detections(found, config)
    state = replace(state, frame_index=frame)
    assigned = match(found, state.tracks, state.unmatched, stamp=float(frame), config=config)
    update = update_tracks(state, found, assigned, stamp=float(frame), config=config)
    owner = {int(r): t.track_id - 1 for r, t in zip(update.rows, update.found, strict=True)}
    lost = {int(r): int(a) for r, a in zip(found.rows, assigned, strict=True) if a < 0}
    ids = [owner.get(int(row), lost.get(int(row), NONE)) for row in found.rows]
    unmatched = (update.unmatched, *state.unmatched)[: config.keep_backdrops]
    state = replace(state, tracks=update.kept, unmatched=unmatched, next_id=update.next_id)
    return ids, state, found
