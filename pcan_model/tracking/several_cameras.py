"""The tracker over an engine that looks through several cameras in one launch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol, runtime_checkable
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.config import Config, TrackerConfig
from pcan_model.core.engine import camera_of
from pcan_model.core.structures import Detections, Frame, Slots, State, Tracks
from pcan_model.tracking.frame_step import HostSteps, Prepared
from pcan_model.tracking.tracker import Stopwatch


@runtime_checkable
class BatchEngine(Protocol):
    """Runs the two halves of PCAN for all cameras at once; as `engine.Engine`, everything by camera.

    A camera that is not named in a call has no new picture: the network looks at what was there before,
    its results are dropped, and its memory stays as it is.
    """

    config: Config
    cameras: int

    def start(self, camera: int) -> Any:
        """Return the empty prototype memory of one camera."""

    def detect(
        self,
        pictures: Mapping[int, NDArray[np.uint8]],
        memories: Mapping[int, Any],
        *,
        remember: Collection[int],
    ) -> tuple[dict[int, Detections], Any]:
        """Find the objects of the cameras' pictures.

        remember  cameras whose picture enters their frame memory
        returns   detections, and the features that `segment` takes
        """

    def segment(
        self, features: Any, slots: Mapping[int, Slots]
    ) -> tuple[dict[int, NDArray[np.float32]], dict[int, Any]]:
        """Refine the masks of the same cameras; returns logits (D, m, m) and the next memories."""


class BatchTracker:
    """PCAN's tracking of several cameras at once; each has a state of its own, as of a `Tracker`."""

    def __init__(self, engine: BatchEngine, config: TrackerConfig | None = None) -> None:
        self.engine = engine
        self.config = config or engine.config.tracker
        self._host = HostSteps(engine.config, self.config, camera_of(engine))

    def start(self, camera: int, session: UUID | None = None) -> State:
        """Return a camera's state before its first frame."""
        return State(self.engine.start(camera), session or uuid4())

    def prepare(self, frame: Frame) -> Prepared:
        """Fit a frame into the network's input; may be done before its turn to `step`."""
        return self._host.prepare(frame)

    def step(
        self,
        states: Mapping[int, State],
        frames: Mapping[int, Frame] | Mapping[int, Prepared],
        watch: Stopwatch | None = None,
    ) -> dict[int, tuple[State, Tracks]]:
        """Track the objects of one frame of some of the cameras.

        states   of these cameras at least
        returns  for each camera with a frame what `Tracker.step` returns
        """
        host, watch = self._host, watch or Stopwatch()
        watch.start()
        ready = {c: self.prepare(f) if isinstance(f, Frame) else f for c, f in frames.items()}
        watch.lap("preprocess")
        found, features = self.engine.detect(
            {camera: each.picture for camera, each in ready.items()},
            {camera: states[camera].memory for camera in ready},
            remember={camera for camera in ready if host.remembers(states[camera])},
        )
        watch.lap("network")
        rosters = {c: host.associate(states[c], found[c], each.frame.stamp) for c, each in ready.items()}
        slots = {camera: host.slots(states[camera], roster) for camera, roster in rosters.items()}
        watch.lap("association")
        logits, memories = self.engine.segment(features, slots)
        watch.lap("network")
        after = {
            c: host.conclude(states[c], each, rosters[c], logits[c], memories[c]) for c, each in ready.items()
        }
        watch.lap("masks")
        return after
