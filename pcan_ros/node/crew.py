"""How the cameras of a node share an engine: one after the other, or all in one launch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from pcan_model.core.config import TrackerConfig
from pcan_model.core.engine import Engine, camera_of
from pcan_model.core.structures import Frame, State, Tracks
from pcan_model.tracking.frame_step import Prepared
from pcan_model.tracking.several_cameras import BatchEngine, BatchTracker
from pcan_model.tracking.tracker import Stopwatch, Tracker


class Crew(Protocol):
    """Steps the cameras' states."""

    engine: Any  # an Engine or a BatchEngine
    config: TrackerConfig  # the thresholds
    at_once: int  # cameras that a step serves at most

    def start(self, camera: int) -> State:
        """Return a camera's state before its first frame."""

    def prepare(self, frame: Frame) -> Prepared:
        """Get a frame ready for a step, maybe before its turn."""

    def step(
        self, states: Mapping[int, State], ready: Mapping[int, Prepared], watch: Stopwatch
    ) -> dict[int, tuple[State, Tracks]]:
        """Track one frame of each camera that has one."""

    def tuned(self, thresholds: TrackerConfig) -> Crew:
        """Return the same with other thresholds."""


class InTurn:
    """One camera after the other."""

    at_once = 1

    def __init__(self, tracker: Tracker) -> None:
        self.engine, self.config, self._tracker = tracker.engine, tracker.config, tracker

    def start(self, camera: int) -> State:
        """See `Crew`; cameras are all alike."""
        return self._tracker.start()

    def prepare(self, frame: Frame) -> Prepared:
        """See `Crew`."""
        return self._tracker.prepare(frame)

    def step(
        self, states: Mapping[int, State], ready: Mapping[int, Prepared], watch: Stopwatch
    ) -> dict[int, tuple[State, Tracks]]:
        """See `Crew`."""
        return {camera: self._tracker.step(states[camera], each, watch) for camera, each in ready.items()}

    def tuned(self, thresholds: TrackerConfig) -> Crew:
        """See `Crew`."""
        return InTurn(Tracker(self.engine, thresholds))


class AtOnce:
    """All cameras in one launch of each network."""

    def __init__(self, tracker: BatchTracker) -> None:
        self.engine, self.config, self._tracker = tracker.engine, tracker.config, tracker
        self.at_once = self.engine.cameras
        self.start, self.prepare = tracker.start, tracker.prepare

    def step(
        self, states: Mapping[int, State], ready: Mapping[int, Prepared], watch: Stopwatch
    ) -> dict[int, tuple[State, Tracks]]:
        """See `Crew`."""
        return self._tracker.step(states, ready, watch)

    def tuned(self, thresholds: TrackerConfig) -> Crew:
        """See `Crew`."""
        return AtOnce(BatchTracker(self.engine, thresholds))


def make_crew(engine: Engine | BatchEngine, thresholds: TrackerConfig) -> Crew:
    """Return what steps the cameras by an engine."""
    if isinstance(engine, BatchEngine):
        return AtOnce(BatchTracker(engine, thresholds))
    return InTurn(Tracker(engine, thresholds))


def warm_up(crew: Crew) -> None:
    """Track a black picture: the first run of an engine is the slowest, and shows whether it runs at all."""
    size = camera_of(crew.engine) or crew.engine.config.input
    ready = crew.prepare(Frame(np.zeros((size.height, size.width, 3), np.uint8), 0.0))
    cameras = range(crew.at_once)
    crew.step({camera: crew.start(camera) for camera in cameras}, dict.fromkeys(cameras, ready), Stopwatch())
