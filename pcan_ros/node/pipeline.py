"""From message to tracks, in one worker thread that owns the engine; knows no ROS node."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import Any, Protocol

from pcan_model.core.engine import Image
from pcan_model.core.stamps import stamp_seconds
from pcan_model.core.structures import Frame, State, Tracks
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.data.image_decoding import BadImage
from pcan_model.inference.errors import EngineLost, UnrecoverableError
from pcan_model.tracking.admission import Admission
from pcan_model.tracking.frame_step import Prepared
from pcan_model.tracking.tracker import Stopwatch, Tracker
from pcan_ros.node.camera import Camera, TimeLimits
from pcan_ros.node.image_conversion import convert
from pcan_ros.node.lens import Lens
from pcan_ros.node.mailbox import Arrival, Mailbox

WAIT = 0.5  # seconds between looks at whether to stop


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """One processed image."""

    camera: int  # index into the list of cameras
    header: Any  # the image's
    image: Image  # (H, W, 3) RGB
    tracks: Tracks
    taken: float  # monotonic time when the worker took the image
    jump: float  # seconds that time jumped if that made the camera start anew (back: < 0), else 0
    network: float  # seconds in both passes of the network, of all cameras that were run at once
    info: Any = None  # the camera's calibration with this header, None where none is known


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """An image that was made ready for the network before its turn."""

    arrival: Arrival
    prepared: Prepared
    info: Any  # the camera's calibration, or None


class Sink(Protocol):
    """Takes what comes out; called from the worker thread. Books of it are the sink's."""

    def on_result(self, result: FrameResult) -> None:
        """Take one processed image."""

    def on_bad(self, camera: int, error: Exception) -> None:
        """Take note of an image that could not be processed."""

    def on_lost(self, cameras: tuple[int, ...], error: UnrecoverableError) -> None:
        """Take note that nothing will be processed any more, nor these cameras' images at hand."""


class Pipeline:
    """Tracks the newest image of every camera, in turn or at once, until it is stopped.

    Where the network runs on a device, the worker does not just wait for it: meanwhile it decodes and
    fits the images whose turn is next, and begins their upload. If a newer one replaces such an image
    before its turn, the newer one is tracked.
    """

    def __init__(
        self,
        tracker: Tracker,
        cameras: int,
        limits: TimeLimits,
        sink: Sink,
        lenses: Sequence[Lens] = (),
        *,
        in_step: bool = False,
    ) -> None:
        """Take a tracker, what limits its cameras' stamps and what results go to.

        lenses   of every camera, or none where calibrations are not asked for
        in_step  whether all cameras' images are always put, and are to be tracked, together
        """
        self.mailbox = Mailbox(cameras)
        self._cameras = tuple(Camera(limits) for _ in range(cameras))
        self._tracker, self._engine, self._sink = tracker, tracker.engine, sink
        self._at_once = cameras if in_step else self._engine.cameras_at_once
        self._lenses = lenses
        self._stopping = False
        self._ready: dict[int, Ready] = {}  # by camera
        self._thread = Thread(target=self._work, name="tracker", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the image at hand and end the thread."""
        self._stopping = True
        self.mailbox.close()
        if self._thread.is_alive():
            self._thread.join()

    def reset(self) -> None:
        """Let every camera forget its tracks before its next image."""
        for camera in self._cameras:
            camera.reset()

    def discard(self) -> None:
        """Forget all tracks, and the images that wait."""
        self.reset()
        self.mailbox.clear()

    def tune(
        self, thresholds: TrackerConfig, limits: TimeLimits, admissions: Sequence[Admission] = ()
    ) -> None:
        """Use other thresholds from the next image on, and track what is admitted; tracks stay."""
        self._tracker = Tracker(self._engine, thresholds, admissions)
        for camera in self._cameras:
            camera.limits = limits

    def _work(self) -> None:
        self._engine.meanwhile = self._look_ahead
        while not self._stopping:
            arrivals = self.mailbox.take(WAIT, self._at_once)
            if arrivals:
                self._try(arrivals)
        self._engine.meanwhile = None

    def _look_ahead(self) -> None:
        """Make the images whose turn is next ready while the device is busy."""
        for arrival in self.mailbox.peek(self._at_once):
            ready = self._ready.get(arrival.camera)
            if ready is None or ready.arrival is not arrival:
                self._make_ready(arrival)

    def _make_ready(self, arrival: Arrival) -> None:
        state = self._cameras[arrival.camera].state
        try:
            self._ready[arrival.camera] = ready = self._prepare(arrival)
            if state is not None:
                self._engine.stage(ready.prepared.image, state.memory)
        except EngineLost:
            raise
        except Exception:  # it will come up again, and be reported, in its own turn
            self._ready.pop(arrival.camera, None)

    def _prepare(self, arrival: Arrival) -> Ready:
        message, fitted = arrival.message, self._engine.camera_format
        order = fitted.order if fitted else "rgb"
        image, info = convert(message, order), None
        if self._lenses:
            image, info = self._lenses[arrival.camera].look(image, message.header)
        frame = Frame(image, stamp_seconds(message.header.stamp), order)
        return Ready(arrival, self._tracker.prepare(frame), info)

    def _try(self, arrivals: list[Arrival]) -> None:
        """Process an image of one or several cameras; whatever is wrong, the next ones get their chance."""
        taken = time.monotonic()
        ready = {each.arrival.camera: each for each in map(self._take, arrivals) if each is not None}
        try:
            if ready:
                self._process(ready, taken)
        except UnrecoverableError as error:
            self._stopping = True
            self._sink.on_lost(tuple(ready), error)
        except Exception as error:  # the engine's state may be anything now: start these cameras anew
            for camera in ready:
                self._cameras[camera].reset()
                self._sink.on_bad(camera, error)

    def _take(self, arrival: Arrival) -> Ready | None:
        """Return an image that is ready for the network, or nothing where it cannot be read."""
        ready = self._ready.pop(arrival.camera, None)
        if ready is not None and ready.arrival is arrival:
            return ready
        try:
            return self._prepare(arrival)
        except Exception as error:  # BadImage, or what a library raises of it
            if not isinstance(error, BadImage):
                self._cameras[arrival.camera].reset()
            self._sink.on_bad(arrival.camera, error)
            return None

    def _process(self, ready: dict[int, Ready], taken: float) -> None:
        """Track one image of each camera and hand on what comes out."""
        stopwatch, states, jumps = Stopwatch(), dict[int, State](), dict[int, float]()
        prepared = {camera: each.prepared for camera, each in ready.items()}
        for number, each in prepared.items():
            start = partial(self._tracker.start, camera=number)
            states[number], jumps[number] = self._cameras[number].begin(each.frame.stamp, start)
        after = self._tracker.step_cameras(states, prepared, stopwatch)
        for number, (state, _) in after.items():
            self._cameras[number].keep(state, prepared[number].frame.stamp)
        network = stopwatch.timings.network
        for number, (_, tracks) in after.items():
            header, image = ready[number].arrival.message.header, prepared[number].frame.ordered("rgb")
            jump, info = jumps[number], ready[number].info
            self._sink.on_result(FrameResult(number, header, image, tracks, taken, jump, network, info))
