"""A long drive with a scripted engine: identities and memory of the tracker."""

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
SAMPLES = 50  # memory measurements


class Drive(Sequence[tuple[Thing, ...]]):
    """In each lane objects with different appearance cross the image one after another."""

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
    """A list that stores nothing, so that the slots of a million frames do not appear as growth."""

    def append(self, item: Any) -> None:
        """Discard the item."""


@dataclass(frozen=True, slots=True)
class LongDrive:
    """Result of a long drive."""

    frames: int
    identities: int  # given
    reused: int  # given to a second object, or again after they had ended
    readings: Readings


def drive(frames: int) -> LongDrive:
    """Track a number of frames and check every identity."""
    engine = ScriptedEngine(Drive(frames), small_config(lost_frames=2))
    engine.slots, engine.remembered = Forgetful(), Forgetful()
    tracker, image = Tracker(engine), blank(0.0).image
    state, identities, readings = tracker.start(), Identities(), Readings(os.getpid())
    for index in range(frames):
        state, tracks = tracker.step(state, Frame(image, index / 10))
        identities.note(tracks)
        if index % max(1, frames // SAMPLES) == 0 or index == frames - 1:
            readings.take(index)
    return LongDrive(frames, identities.highest, identities.reused, readings)


class Identities:
    """The active identities; they are assigned in order, so all up to the highest have been used."""

    def __init__(self) -> None:
        self.highest, self.reused = 0, 0
        self._living: set[int] = set()

    def note(self, tracks: Tracks) -> None:
        """Check the identities of the tracks of a frame."""
        for instance in tracks.instances:
            if instance.track_id not in self._living:
                self.reused += instance.track_id <= self.highest
                self.highest = max(self.highest, instance.track_id)
        self._living = {i.track_id for i in tracks.instances if i.state != TrackState.REMOVED}
