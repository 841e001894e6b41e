"""From message to tracks, in a worker thread that owns the engine; independent of the ROS node."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Thread
from typing import Any, Protocol

from pcan_model.core.engine import Engine, Image
from pcan_model.core.stamps import stamp_seconds
from pcan_model.core.structures import CameraPlace, Frame, FrameKind, State, Tracks
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.data.image_decoding import BadImage
from pcan_model.inference.errors import EngineLost, UnrecoverableError
from pcan_model.inference.input_size import size_text
from pcan_model.tracking.admission import Admission
from pcan_model.tracking.frame_step import Prepared
from pcan_model.tracking.input_size_choice import SizeChoice, usable_sizes
from pcan_model.tracking.pace import Pace, shared
from pcan_model.tracking.tracker import Stopwatch, Tracker
from pcan_ros.node.camera import Camera, TimeLimits
from pcan_ros.node.image_conversion import convert
from pcan_ros.node.lens import Lens
from pcan_ros.node.mailbox import Arrival, Mailbox

WAIT = 0.5  # seconds between checks whether to stop


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """One processed image."""

    camera: int  # index into the list of cameras
    header: Any  # the image's
    image: Image  # (H, W, 3) RGB
    tracks: Tracks
    taken: float  # monotonic time when the worker took the image
    jump: float  # time jump that reset the camera, seconds (back: < 0), else 0
    network: float  # seconds in both passes of the network, for all cameras of the batch
    pace: Pace  # of the camera, before this image
    input_size: str = ""  # of the network, such as 384x640
    info: Any = None  # the camera's calibration with this header, or None


@dataclass(frozen=True, slots=True, eq=False)
class PreparedImage:
    """An image that is decoded and resized for the network."""

    arrival: Arrival
    frame: Frame
    prepared: Prepared
    info: Any  # the camera's calibration, or None


@dataclass(slots=True)
class Tracked:
    """Frames that were tracked together, by camera."""

    after: dict[int, tuple[State, Tracks]] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)  # of each frame
    network: float = 0.0  # seconds in both passes, of all frames


class Sink(Protocol):
    """Receives results and errors, in the worker thread; responsible for the statistics."""

    def on_result(self, result: FrameResult) -> None:
        """Receive one processed image."""

    def on_bad(self, camera: int, error: Exception) -> None:
        """Receive the error of an image that could not be processed."""

    def on_failure(self, cameras: tuple[int, ...], error: UnrecoverableError) -> None:
        """Receive an error that stops all processing; the current images of these cameras are lost."""


class Pipeline:
    """Tracks the newest image of every camera, in turn or as a batch, until it is stopped.

    While the network runs on a device, the worker decodes and resizes the next images and starts their
    upload. If a newer image arrives before its turn, the newer one is tracked instead.
    """

    def __init__(
        self,
        tracker: Tracker,
        cameras: int,
        limits: TimeLimits,
        sink: Sink,
        lenses: Sequence[Lens] = (),
        *,
        synchronized: bool = False,
        budget: float = 0.0,
        larger: Sequence[Engine] = (),
        place: Callable[[Any, Any], CameraPlace | None] = lambda header, info: None,
    ) -> None:
        """Create a pipeline that passes the results of a tracker to a sink.

        limits        time jumps that reset a camera
        lenses        calibration of every camera; empty if calibrations are not used
        synchronized  whether the images of all cameras arrive, and are tracked, together
        budget        mean seconds for one image of every camera; 0: every image is a key frame
        larger        engines of the same model for larger inputs, ascending: the budget chooses the size
        place         returns where a camera is, from the header of its image and its calibration
        """
        self.mailbox = Mailbox(cameras)
        self._trackers = (tracker, *(tracker.at(engine) for engine in larger))  # one for each input size
        self._inputs = [each.engine.config.input for each in self._trackers]
        sizes = SizeChoice.of(tuple(pixels(each.engine) for each in self._trackers))
        self._cameras = tuple(
            Camera(limits, pace=Pace(budget / cameras), sizes=sizes) for _ in range(cameras)
        )
        self._engine, self._sink = tracker.engine, sink
        self._at_once = cameras if synchronized else self._engine.cameras_at_once
        self._lenses, self._place = lenses, place
        self._stopping = False
        self._ready: dict[int, PreparedImage] = {}  # by camera
        self._thread = Thread(target=self._work, name="tracker", daemon=True)

    def start(self) -> None:
        """Start the worker thread."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the current image and join the thread."""
        self._stopping = True
        self.mailbox.close()
        if self._thread.is_alive():
            self._thread.join()

    def reset(self) -> None:
        """Reset the tracks of every camera before its next image."""
        for camera in self._cameras:
            camera.reset()

    def discard(self) -> None:
        """Discard all tracks and the waiting images."""
        self.reset()
        self.mailbox.clear()

    def tune(
        self,
        thresholds: TrackerConfig,
        limits: TimeLimits,
        admissions: Sequence[Admission] = (),
        *,
        budget: float = 0.0,
    ) -> None:
        """Change thresholds, limits, admission and budget from the next image on; tracks are kept."""
        self._trackers = tuple(Tracker(each.engine, thresholds, admissions) for each in self._trackers)
        for camera in self._cameras:
            camera.limits = limits
            if (own := budget / len(self._cameras)) != camera.pace.budget:
                camera.pace = Pace(own)

    def _work(self) -> None:
        self._engine.meanwhile = self._look_ahead
        while not self._stopping:
            arrivals = self.mailbox.take(WAIT, self._at_once)
            if arrivals:
                self._try(arrivals)
        self._engine.meanwhile = None

    def _look_ahead(self) -> None:
        """Prepare the next images while the device is busy."""
        for arrival in self.mailbox.peek(self._at_once):
            ready = self._ready.get(arrival.camera)
            if ready is None or ready.arrival is not arrival:
                self._prepare_ahead(arrival)

    def _prepare_ahead(self, arrival: Arrival) -> None:
        state = self._cameras[arrival.camera].state
        try:
            self._ready[arrival.camera] = ready = self._prepare(arrival)
            if state is not None:
                self._engine.stage(ready.prepared.image, state.memory)
        except EngineLost:
            raise
        except Exception:  # raised and reported again when it is this image's turn
            self._ready.pop(arrival.camera, None)

    def _prepare(self, arrival: Arrival) -> PreparedImage:
        message, fitted = arrival.message, self._engine.camera_format
        order = fitted.order if fitted else "rgb"
        image, info = convert(message, order), None
        if self._lenses:
            image, info = self._lenses[arrival.camera].apply(image, message.header)
        place = self._place(message.header, info)
        frame = Frame(image, stamp_seconds(message.header.stamp), order, place)
        return PreparedImage(arrival, frame, self._tracker(arrival.camera).prepare(frame), info)

    def _try(self, arrivals: list[Arrival]) -> None:
        """Process one image of each camera; after an error, processing continues with the next images."""
        taken = time.monotonic()
        ready = {each.arrival.camera: each for each in map(self._take, arrivals) if each is not None}
        try:
            if ready:
                self._process(ready, taken)
        except UnrecoverableError as error:
            self._stopping = True
            self._sink.on_failure(tuple(ready), error)
        except Exception as error:  # the state may be inconsistent: reset these cameras
            for camera in ready:
                self._cameras[camera].reset()
                self._sink.on_bad(camera, error)

    def _take(self, arrival: Arrival) -> PreparedImage | None:
        """Return a prepared image, or None if the image cannot be read."""
        ready = self._ready.pop(arrival.camera, None)
        if ready is not None and ready.arrival is arrival:
            return ready
        try:
            return self._prepare(arrival)
        except Exception as error:  # BadImage, or an error of a library
            if not isinstance(error, BadImage):
                self._cameras[arrival.camera].reset()
            self._sink.on_bad(arrival.camera, error)
            return None

    def _process(self, ready: dict[int, PreparedImage], taken: float) -> None:
        """Track one image of each camera and pass the results to the sink."""
        states, jumps = dict[int, State](), dict[int, float]()
        prepared = {camera: each.prepared for camera, each in ready.items()}
        for number, each in prepared.items():
            tracker, camera = self._tracker(number), self._cameras[number]
            state, jumps[number] = camera.begin(each.stamp, partial(tracker.start, camera=number))
            states[number] = camera.at_size(state, each.letterbox, tracker.engine.config.input)
        done = self._track(states, prepared)
        for number, (state, _) in done.after.items():
            self._cameras[number].keep(state, prepared[number].stamp)
        for number, (_, tracks) in done.after.items():
            header, image = ready[number].arrival.message.header, ready[number].frame.ordered("rgb")
            jump, info, pace = jumps[number], ready[number].info, self._cameras[number].pace
            size = size_text(*ready[number].prepared.letterbox.target)
            self._sink.on_result(
                FrameResult(number, header, image, tracks, taken, jump, done.network, pace, size, info)
            )
        others = (time.monotonic() - taken - sum(done.seconds.values())) / len(ready)
        for number, (_, tracks) in done.after.items():
            usable = usable_sizes(prepared[number].letterbox.source, self._inputs)
            self._cameras[number].measure(tracks.kind, done.seconds[number] + others, usable)
        self._share()

    def _share(self) -> None:
        """Share the budget by need, see `pace.shared`."""
        cameras = dict(enumerate(self._cameras))
        drifting = {number for number, each in cameras.items() if each.state and each.state.drifted}
        for number, pace in shared({n: each.pace for n, each in cameras.items()}, drifting).items():
            cameras[number].pace = pace

    def _track(self, states: dict[int, State], prepared: dict[int, Prepared]) -> Tracked:
        """Track one frame of each camera, those of one kind and input size together."""
        groups = dict[tuple[FrameKind, Tracker], dict[int, Prepared]]()
        for number, each in prepared.items():
            kind = self._cameras[number].pace.kind(drifted=states[number].drifted)
            groups.setdefault((kind, self._tracker(number)), {})[number] = each
        done = Tracked()
        for (kind, tracker), frames in groups.items():
            stopwatch, began = Stopwatch(), time.monotonic()
            done.after |= tracker.step_cameras(states, frames, stopwatch, kind)
            done.seconds |= dict.fromkeys(frames, (time.monotonic() - began) / len(frames))
            done.network += stopwatch.timings.network
        return done

    def _tracker(self, camera: int) -> Tracker:
        """Return the tracker for a camera's present input size."""
        return self._trackers[self._cameras[camera].sizes.index]


def pixels(engine: Engine) -> int:
    """Return the number of pixels of an engine's input."""
    return engine.config.input.height * engine.config.input.width
