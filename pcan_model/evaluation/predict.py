"""A tracker's answers to a clip, frame by frame: what evaluation counts, whoever answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pcan_model.core.structures import Frame, Tracks
from pcan_model.data.clips import Clip, LabeledFrame
from pcan_model.data.timing import seconds, time_of
from pcan_model.tracking.tracker import Stopwatch, Tracker


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One frame of a clip, and what is said of it."""

    labeled: LabeledFrame
    tracks: Tracks
    seconds: float  # from picture to tracks; reading the file is not in it
    dropped: bool = False  # in real time: nothing was said of this frame, and the tracks are empty


class NoAnswer(RuntimeError):
    """What should answer is not there, or went away."""


Follow = Callable[[Clip], Iterator[Answer]]
"""Answers a clip frame by frame, in order, from an empty state."""


def follow(tracker: Tracker, clip: Clip) -> Iterator[Answer]:
    """Track a clip from an empty state."""
    state, watch = tracker.start(), Stopwatch()
    for index in range(len(clip)):
        labeled = clip.frame(index)
        state, tracks = tracker.step(state, Frame(labeled.image, seconds(time_of(index, clip.rate))), watch)
        yield Answer(labeled, tracks, watch.timings.total)
