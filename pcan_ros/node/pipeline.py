"""From message to tracks, in one worker thread that owns the engine; knows no ROS node."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Thread
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pcan_model.config import TrackerConfig
from pcan_model.steps import Prepared
from pcan_model.structures import Tracks
from pcan_model.tracker import Stopwatch, Tracker
from pcan_ros.images import BadImage, decode
from pcan_ros.node.camera import Camera, TimeLimits
from pcan_ros.node.slots import Arrival, Mailbox
from pcan_ros.runtime.engine_facts import EngineLost, NothingWorks
from pcan_ros.runtime.overlapping import Overlapping

WAIT = 0.5  # seconds between looks at whether to stop


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One processed image."""

    camera: int  # index into the list of cameras
    header: Any  # the image's
    picture: NDArray[np.uint8]  # (H, W, 3) RGB
    tracks: Tracks
    taken: float  # monotonic time when the worker took the image
    jump: float  # seconds that time jumped if that made the camera start anew (back: < 0), else 0
    network: float  # seconds in both passes of the network


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """An image that was made ready for the network before its turn."""

    arrival: Arrival
    prepared: Prepared


class Sink(Protocol):
    """Who gets what comes out; called from the worker thread."""

    def on_result(self, result: Result) -> None:
        """Take one processed image."""

    def on_bad(self, camera: int, error: Exception) -> None:
        """Take note of an image that could not be processed."""

    def on_lost(self, error: NothingWorks) -> None:
        """Take note that nothing will be processed any more."""


class Pipeline:
    """Tracks the newest image of every camera, one after the other, until it is stopped.

    Where the network runs on a device, the worker does not just wait for it: meanwhile it decodes and
    fits the image whose turn is next, and begins its upload. If a newer one replaces that image before its
    turn, the newer one is tracked.
    """

    def __init__(self, tracker: Tracker, topics: tuple[str, ...], limits: TimeLimits, sink: Sink) -> None:
        self.cameras = tuple(Camera(topic, tracker, limits) for topic in topics)
        self.mailbox = Mailbox(len(topics))
        self._sink = sink
        self._stopping = False
        self._ready: Ready | None = None
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
        for camera in self.cameras:
            camera.reset()

    def tune(self, thresholds: TrackerConfig, limits: TimeLimits) -> None:
        """Use other thresholds from the next image on; tracks stay."""
        for camera in self.cameras:
            camera.tracker = Tracker(camera.tracker.engine, thresholds)
            camera.limits = limits

    def _work(self) -> None:
        engine = self.cameras[0].tracker.engine
        if isinstance(engine, Overlapping):
            engine.meanwhile = self._look_ahead
        while not self._stopping:
            arrival = self.mailbox.take(WAIT)
            if arrival:
                self._try(arrival)
        if isinstance(engine, Overlapping):
            engine.meanwhile = None

    def _look_ahead(self) -> None:
        """Make the image whose turn is next ready while the device is busy."""
        arrival = self.mailbox.peek()
        if arrival is None or (self._ready is not None and self._ready.arrival is arrival):
            return
        try:
            self._ready = Ready(arrival, self._prepare(arrival))
            self.cameras[arrival.camera].stage(self._ready.prepared)
        except EngineLost:
            raise
        except Exception:  # it will come up again, and be said, in its own turn
            self._ready = None

    def _prepare(self, arrival: Arrival) -> Prepared:
        message = arrival.message
        return self.cameras[arrival.camera].prepare(decode(message), seconds(message.header.stamp))

    def _try(self, arrival: Arrival) -> None:
        """Process one image; whatever is wrong with it, the next one gets its chance."""
        camera = self.cameras[arrival.camera]
        try:
            self._process(camera, arrival)
        except BadImage as error:
            camera.bad += 1
            self._sink.on_bad(arrival.camera, error)
        except NothingWorks as error:
            camera.bad += 1
            self._stopping = True
            self._sink.on_lost(error)
        except Exception as error:  # the engine's state may be anything now: start this camera anew
            camera.bad += 1
            camera.reset()
            self._sink.on_bad(arrival.camera, error)

    def _process(self, camera: Camera, arrival: Arrival) -> None:
        taken = time.monotonic()
        ready = self._ready
        if ready is not None and ready.arrival is arrival:
            self._ready, prepared = None, ready.prepared
        else:
            prepared = self._prepare(arrival)
        watch = Stopwatch()
        tracks, jump = camera.track(prepared, watch)
        header, picture, network = arrival.message.header, prepared.frame.image, watch.timings.network
        self._sink.on_result(Result(arrival.camera, header, picture, tracks, taken, jump, network))


def seconds(stamp: Any) -> float:
    """Return a builtin_interfaces/Time in seconds."""
    return float(stamp.sec) + float(stamp.nanosec) * 1e-9
