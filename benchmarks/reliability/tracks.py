"""A long drive through the tracker, with an engine that follows a script: identities and memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from support.scripted_engine import ScriptedEngine, Thing, blank, small_config

from benchmarks.reliability.measures import Readings
from pcan_model.core.structures import Frame, Tracks, TrackState
from pcan_model.tracking.tracker import Tracker

LANES, LIFE, GAP = 3, 23, 9  # objects at a time, frames that one is seen, and frames until the next comes
EVERY = 50  # parts of the drive after which memory is looked at


class Drive(Sequence[tuple[Thing, ...]]):
    """In each lane an object crosses the image, then another one, which looks different."""

    def __init__(self, frames: int) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, index: Any) -> tuple[Thing, ...]:
        return tuple(self._things(index))

    def _things(self, index: int) -> Iterator[Thing]:
        for lane in range(LANES):
            number, age = divmod(index + 7 * lane, LIFE + GAP + lane)
            if age < LIFE:
                x, y = 2 + 3 * age, 2 + 20 * lane
                yield Thing(lane + LANES * (number % 4), (x, y, x + 16, y + 14))


class Forgetful(list[Any]):
    """A list that keeps nothing: a million frames' slots would be the growth that is looked for."""

    def append(self, item: Any) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True)
class LongDrive:
    """What a long drive came to."""

    frames: int
    identities: int  # given
    reused: int  # given to a second object, or again after they had ended
    readings: Readings


def drive(frames: int) -> LongDrive:
    """Track that many frames, and account for every identity."""
    engine = ScriptedEngine(Drive(frames), small_config(lost_frames=2))
    engine.slots, engine.remembered = Forgetful(), Forgetful()
    tracker, image = Tracker(engine), blank(0.0).image
    state, book, readings = tracker.start(), Identities(), Readings(os.getpid())
    for index in range(frames):
        state, tracks = tracker.step(state, Frame(image, index / 10))
        book.note(tracks)
        if index % max(1, frames // EVERY) == 0 or index == frames - 1:
            readings.take(index)
    return LongDrive(frames, book.highest, book.reused, readings)


class Identities:
    """Which identities live; all are given in order, so the highest says which were given before."""

    def __init__(self) -> None:
        self.highest, self.reused = 0, 0
        self._living: set[int] = set()

    def note(self, tracks: Tracks) -> None:
        """Account for the tracks of a frame."""
        for instance in tracks.instances:
            if instance.track_id not in self._living:
                self.reused += instance.track_id <= self.highest
                self.highest = max(self.highest, instance.track_id)
        self._living = {i.track_id for i in tracks.instances if i.state != TrackState.REMOVED}
