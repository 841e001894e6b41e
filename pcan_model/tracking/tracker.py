"""The tracker: `step(state, frame) -> (state, tracks)`, the same code in every room above.

A frame's path: letterbox -> engine.detect -> duplicates out -> match -> roster and bank rows ->
engine.segment -> masks in the camera picture, none overlapping -> tracks.

The camera's picture may change its size between frames. Boxes are remembered in network pixels,
so that another size of the same proportions goes unnoticed; other proportions move the remembered
boxes once, which costs overlap and motion one frame, while appearance goes on matching.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Literal
from uuid import UUID, uuid4

from pcan_model.core.config import TrackerConfig
from pcan_model.core.engine import Engine, camera_of
from pcan_model.core.structures import Frame, State, Tracks
from pcan_model.tracking.frame_step import HostSteps, Prepared

Part = Literal["preprocess", "network", "association", "masks"]


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one step went, seconds."""

    preprocess: float = 0.0  # letterbox
    network: float = 0.0  # both halves
    association: float = 0.0  # duplicates, matching, roster
    masks: float = 0.0  # pasting, overlaps, making the tracks

    @property
    def total(self) -> float:
        """Return the time of the whole step."""
        return self.preprocess + self.network + self.association + self.masks


class Stopwatch:
    """Takes the times of a step for who hands one in; `timings` are the last step's."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self.start()

    def start(self) -> None:
        """Begin a step anew."""
        self.timings = Timings()
        self._since = self._clock()

    def lap(self, part: Part) -> None:
        """Book the time since the last lap on a part."""
        now = self._clock()
        spent: float = getattr(self.timings, part) + now - self._since
        self.timings, self._since = replace(self.timings, **{part: spent}), now


class Tracker:
    """PCAN's tracking by one engine; holds no state, so that one serves many cameras."""

    def __init__(self, engine: Engine, config: TrackerConfig | None = None) -> None:
        self.engine = engine
        self.config = config or engine.config.tracker
        self._host = HostSteps(engine.config, self.config, camera_of(engine))

    def start(self, session: UUID | None = None) -> State:
        """Return the state before the first frame; `session` names its tracks, random if None."""
        return State(self.engine.start(), session or uuid4())

    def prepare(self, frame: Frame) -> Prepared:
        """Fit a frame into the network's input; may be done before its turn to `step`."""
        return self._host.prepare(frame)

    def step(
        self, state: State, frame: Frame | Prepared, watch: Stopwatch | None = None
    ) -> tuple[State, Tracks]:
        """Track the objects of one frame; `state` stays as it is.

        watch    takes the times of the parts, if given
        returns  the state for the next frame, and every track of this one by its id
        """
        host, watch = self._host, watch or Stopwatch()
        watch.start()
        ready = self.prepare(frame) if isinstance(frame, Frame) else frame
        watch.lap("preprocess")
        found, features = self.engine.detect(ready.picture, state.memory)
        watch.lap("network")
        roster = host.associate(state, found, ready.frame.stamp)
        slots = host.slots(state, roster)
        watch.lap("association")
        remember = host.remembers(state)
        logits, memory = self.engine.segment(features, slots, state.memory, remember=remember)
        watch.lap("network")
        after = host.conclude(state, ready, roster, logits, memory)
        watch.lap("masks")
        return after
