"""Predictions of a tracker on a clip, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pcan_model.core.errors import UserError
from pcan_model.core.stamps import seconds
from pcan_model.core.structures import Frame, Tracks
from pcan_model.data.clips import Clip, ClipFrame
from pcan_model.tracking.pace import Pace
from pcan_model.tracking.tracker import Stopwatch, Tracker

EVERY_FRAME = Pace()


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """One frame of a clip and its tracks."""

    frame: ClipFrame
    tracks: Tracks
    seconds: float  # from image to tracks, without reading the file
    dropped: bool = False  # in real time: the frame was not processed, and the tracks are empty


class NoPrediction(UserError, RuntimeError):
    """The tracker, such as a node, is not available or has stopped."""


ClipPredictor = Callable[[Clip], Iterator[Prediction]]
"""Yields the predictions of a clip frame by frame, in order, from an empty state."""


def predict_clip(tracker: Tracker, clip: Clip, pace: Pace = EVERY_FRAME) -> Iterator[Prediction]:
    """Track a clip from an empty state.

    pace  which frames are key frames; the others are propagated
    """
    state, stopwatch = tracker.start(), Stopwatch()
    for frame in clip.frames():
        kind = pace.kind(drifted=state.drifted)
        state, tracks = tracker.step(state, Frame(frame.image, seconds(frame.time)), stopwatch, kind)
        pace = pace.after(tracks.kind, stopwatch.timings.total)
        yield Prediction(frame, tracks, stopwatch.timings.total)
