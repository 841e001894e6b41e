"""The tracker: `step(state, frame) -> (state, tracks)`, with the state as a value.

The path of a frame: letterbox -> engine.detect -> removal of duplicates -> association -> track update and
bank rows -> engine.segment -> disjoint masks in the camera image -> tracks. A propagated frame skips the
network: optical flow carries the tracks of the frame before, with their masks (`propagation`).

The size of the camera image may change between frames. Boxes are stored in network pixels, so that a change
of size without a change of proportions has no effect; other proportions shift the stored boxes once, which
affects overlap and motion for one frame, but not appearance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Literal
from uuid import UUID, uuid4

import numpy as np

from pcan_model.core.device_image import DeviceFrame
from pcan_model.core.engine import Engine
from pcan_model.core.structures import Detections, Frame, FrameKind, State, Tracks
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.tracking.admission import Admission
from pcan_model.tracking.frame_step import FrameStep, Prepared

Part = Literal["preprocess", "network", "association", "masks"]


@dataclass(frozen=True, slots=True)
class Timings:
    """Durations of the parts of one step, seconds."""

    preprocess: float = 0.0  # letterbox
    network: float = 0.0  # both passes
    association: float = 0.0  # removing duplicates, matching, track update; or carrying the tracks
    masks: float = 0.0  # pasting, removing overlaps, creating the tracks

    @property
    def total(self) -> float:
        """Return the time of the whole step."""
        return self.preprocess + self.network + self.association + self.masks


class Stopwatch:
    """Measures the parts of a step; `timings` are those of the last step."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self.start()

    def start(self) -> None:
        """Start measuring a step."""
        self.timings = Timings()
        self._since = self._clock()

    def lap(self, part: Part) -> None:
        """Add the time since the last lap to a part."""
        now = self._clock()
        spent: float = getattr(self.timings, part) + now - self._since
        self.timings, self._since = replace(self.timings, **{part: spent}), now


class Tracker:
    """Tracks objects of one or several cameras with one engine; holds no state."""

    def __init__(
        self, engine: Engine, config: TrackerConfig | None = None, admissions: Sequence[Admission] = ()
    ) -> None:
        """Create a tracker.

        config      thresholds; None: those of the engine's model
        admissions  which detections each camera tracks; empty: all
        """
        self.engine, self._admissions = engine, admissions
        self.config = config or engine.config.tracker
        self._frame_step = FrameStep(engine.config, self.config, engine.camera_format)

    def at(self, engine: Engine) -> Tracker:
        """Return a tracker like this one with another engine, such as one for another input size."""
        return Tracker(engine, self.config, self._admissions)

    def start(self, session: UUID | None = None, *, camera: int = 0) -> State:
        """Return a camera's state before its first frame; `session` names its tracks, random if None."""
        return State(self.engine.start(camera), session or uuid4())

    def prepare(self, frame: Frame | DeviceFrame) -> Prepared:
        """Resize a frame to the network's input; may be called ahead of `step`.

        Raises ValueError for a frame on the device that the engine or the configuration cannot use there.
        """
        if isinstance(frame, DeviceFrame):
            return self._frame_step.prepare_on_device(frame, supported=self.engine.device_images)
        return self._frame_step.prepare(frame)

    def step(
        self,
        state: State,
        frame: Frame | Prepared,
        stopwatch: Stopwatch | None = None,
        kind: FrameKind = FrameKind.KEY,
    ) -> tuple[State, Tracks]:
        """Track the objects in one frame of one camera; `state` is not changed.

        stopwatch  measures the parts, if given
        kind       PROPAGATED: without the network, if possible. Key frames in any case are the first, one of
                   another size than the last, and all without `camera_motion`; Tracks.kind tells
        returns    the state for the next frame, and the tracks of this one in the order of their ids
        """
        return self.step_cameras({0: state}, {0: frame}, stopwatch, kind)[0]

    def step_cameras(
        self,
        states: Mapping[int, State],
        frames: Mapping[int, Frame | Prepared],
        stopwatch: Stopwatch | None = None,
        kind: FrameKind = FrameKind.KEY,
    ) -> dict[int, tuple[State, Tracks]]:
        """Track one frame of each of several cameras: as a batch if the engine supports it, else in turn.

        states   by camera, at least of the cameras with a frame
        kind     of all frames, as for `step`
        returns  the result of `step` by camera
        """
        stopwatch = stopwatch or Stopwatch()
        stopwatch.start()
        ready = {c: self.prepare(f) if isinstance(f, Frame) else f for c, f in frames.items()}
        stopwatch.lap("preprocess")
        after = dict[int, tuple[State, Tracks]]()
        if kind is FrameKind.PROPAGATED:
            after |= self._carry(states, ready, stopwatch)
        left = {camera: each for camera, each in ready.items() if camera not in after}
        together = self.engine.cameras_at_once > 1
        for launch in [left] if together and left else [{c: each} for c, each in left.items()]:
            after |= self._step(states, launch, stopwatch)
        return after

    def warm_up(self) -> None:
        """Track a black image: the first run of an engine is the slowest, and shows whether it works."""
        size = self.engine.camera_format or self.engine.config.input
        ready = self.prepare(Frame(np.zeros((size.height, size.width, 3), np.uint8), 0.0))
        cameras = range(self.engine.cameras_at_once)
        states = {camera: self.start(camera=camera) for camera in cameras}
        self.step_cameras(states, dict.fromkeys(cameras, ready))

    def _carry(
        self, states: Mapping[int, State], ready: Mapping[int, Prepared], stopwatch: Stopwatch
    ) -> dict[int, tuple[State, Tracks]]:
        """Carry the tracks of the cameras where that is possible; all mappings are by camera."""
        step, after = self._frame_step, dict[int, tuple[State, Tracks]]()
        for camera, each in ready.items():
            if step.carries(states[camera], each):
                carried = step.carry(states[camera], each)
                stopwatch.lap("association")
                after[camera] = step.finish_carried(states[camera], each, carried)
                stopwatch.lap("masks")
        return after

    def _step(
        self, states: Mapping[int, State], ready: Mapping[int, Prepared], stopwatch: Stopwatch
    ) -> dict[int, tuple[State, Tracks]]:
        """Run both passes once for all frames; all mappings are by camera."""
        step = self._frame_step
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
