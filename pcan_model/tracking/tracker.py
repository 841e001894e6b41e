"""The tracker: `step(state, frame) -> (state, tracks)`, with the state as a value.

A frame's path: letterbox -> engine.detect -> duplicates removed -> association -> track update and bank
rows -> engine.segment -> masks in the camera's image, none overlapping -> tracks.

The camera's image may change its size between frames. Boxes are remembered in network pixels, so that
another size of the same proportions goes unnoticed; other proportions move the remembered boxes once,
which costs overlap and motion one frame, while appearance goes on matching.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Literal
from uuid import UUID, uuid4

import numpy as np

from pcan_model.core.engine import Engine
from pcan_model.core.structures import Detections, Frame, State, Tracks
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.tracking.admission import Admission
from pcan_model.tracking.frame_step import FrameStep, Prepared

Part = Literal["preprocess", "network", "association", "masks"]


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one step went, seconds."""

    preprocess: float = 0.0  # letterbox
    network: float = 0.0  # both passes
    association: float = 0.0  # removing duplicates, matching, track update
    masks: float = 0.0  # pasting, overlaps, making the tracks

    @property
    def total(self) -> float:
        """Return the time of the whole step."""
        return self.preprocess + self.network + self.association + self.masks


class Stopwatch:
    """Takes the times of a step, if one is passed in; `timings` are the last step's."""

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
    """PCAN's tracking of one or several cameras by one engine; holds no state."""

    def __init__(
        self, engine: Engine, config: TrackerConfig | None = None, admissions: Sequence[Admission] = ()
    ) -> None:
        """Take an engine, thresholds (its own if None), and what each camera tracks (everything if empty)."""
        self.engine, self._admissions = engine, admissions
        self.config = config or engine.config.tracker
        self._frame_step = FrameStep(engine.config, self.config, engine.camera_format)

    def start(self, session: UUID | None = None, *, camera: int = 0) -> State:
        """Return a camera's state before its first frame; `session` names its tracks, random if None."""
        return State(self.engine.start(camera), session or uuid4())

    def prepare(self, frame: Frame) -> Prepared:
        """Fit a frame into the network's input; may be done before its turn to `step`."""
        return self._frame_step.prepare(frame)

    def step(
        self, state: State, frame: Frame | Prepared, stopwatch: Stopwatch | None = None
    ) -> tuple[State, Tracks]:
        """Track the objects of one frame of one camera; `state` stays as it is.

        stopwatch  takes the times of the parts, if given
        returns    the state for the next frame, and every track of this one by its id
        """
        return self.step_cameras({0: state}, {0: frame}, stopwatch)[0]

    def step_cameras(
        self,
        states: Mapping[int, State],
        frames: Mapping[int, Frame | Prepared],
        stopwatch: Stopwatch | None = None,
    ) -> dict[int, tuple[State, Tracks]]:
        """Track one frame of each of some cameras: in one launch where the engine can, else in turn.

        states   of these cameras at least
        returns  for each camera with a frame what `step` returns
        """
        stopwatch = stopwatch or Stopwatch()
        stopwatch.start()
        together = self.engine.cameras_at_once > 1
        launches = [frames] if together else [{camera: frame} for camera, frame in frames.items()]
        after = dict[int, tuple[State, Tracks]]()
        for launch in launches:
            after |= self._step(states, launch, stopwatch)
        return after

    def warm_up(self) -> None:
        """Track a black image: an engine's first run is the slowest, and shows whether it runs at all."""
        size = self.engine.camera_format or self.engine.config.input
        ready = self.prepare(Frame(np.zeros((size.height, size.width, 3), np.uint8), 0.0))
        cameras = range(self.engine.cameras_at_once)
        states = {camera: self.start(camera=camera) for camera in cameras}
        self.step_cameras(states, dict.fromkeys(cameras, ready))

    def _step(
        self, states: Mapping[int, State], frames: Mapping[int, Frame | Prepared], stopwatch: Stopwatch
    ) -> dict[int, tuple[State, Tracks]]:
        """Run both passes once for all the frames; all mappings are by camera."""
        step = self._frame_step
        ready = {c: self.prepare(f) if isinstance(f, Frame) else f for c, f in frames.items()}
        stopwatch.lap("preprocess")
        found, features = self.engine.detect_cameras(
            {camera: each.image for camera, each in ready.items()},
            {camera: states[camera].memory for camera in ready},
            remember={camera for camera in ready if step.remembers(states[camera])},
        )
        stopwatch.lap("network")
        admitted = {c: self._admit(c, found[c], each) for c, each in ready.items()}
        updates = {c: step.associate(states[c], admitted[c], each) for c, each in ready.items()}
        slots = {camera: step.slots(states[camera], update) for camera, update in updates.items()}
        stopwatch.lap("association")
        logits, memories = self.engine.segment_cameras(features, slots)
        stopwatch.lap("network")
        after = {
            c: step.finish(states[c], each, updates[c], logits[c], memories[c]) for c, each in ready.items()
        }
        stopwatch.lap("masks")
        return after

    def _admit(self, camera: int, found: Detections, ready: Prepared) -> Detections:
        return self._admissions[camera].admit(found, ready.letterbox) if self._admissions else found
