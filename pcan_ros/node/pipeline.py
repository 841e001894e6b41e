"""From message to tracks, in one worker thread that owns the engine; knows no ROS node."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Thread
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pcan_model.config import TrackerConfig
from pcan_model.structures import Tracks
from pcan_model.tracker import Stopwatch, Tracker
from pcan_ros.images import BadImage, decode
from pcan_ros.node.camera import Camera, TimeLimits
from pcan_ros.node.slots import Arrival, Mailbox
from pcan_ros.runtime.engine_facts import EngineLost

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


class Sink(Protocol):
    """Who gets what comes out; called from the worker thread."""

    def on_result(self, result: Result) -> None:
        """Take one processed image."""

    def on_bad(self, camera: int, error: Exception) -> None:
        """Take note of an image that could not be processed."""

    def on_lost(self, error: EngineLost) -> None:
        """Take note that the engine is gone: nothing will be processed any more."""


class Pipeline:
    """Tracks the newest image of every camera, one after the other, until it is stopped."""

    def __init__(self, tracker: Tracker, topics: tuple[str, ...], limits: TimeLimits, sink: Sink) -> None:
        self.cameras = tuple(Camera(topic, tracker, limits) for topic in topics)
        self.mailbox = Mailbox(len(topics))
        self._sink = sink
        self._stopping = False
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
        while not self._stopping:
            arrival = self.mailbox.take(WAIT)
            if arrival:
                self._try(arrival)

    def _try(self, arrival: Arrival) -> None:
        """Process one image; whatever is wrong with it, the next one gets its chance."""
        camera = self.cameras[arrival.camera]
        try:
            self._process(camera, arrival)
        except BadImage as error:
            camera.bad += 1
            self._sink.on_bad(arrival.camera, error)
        except EngineLost as error:
            camera.bad += 1
            self._stopping = True
            self._sink.on_lost(error)
        except Exception as error:  # the engine's state may be anything now: start this camera anew
            camera.bad += 1
            camera.reset()
            self._sink.on_bad(arrival.camera, error)

    def _process(self, camera: Camera, arrival: Arrival) -> None:
        taken = time.monotonic()
        header = arrival.message.header
        picture = decode(arrival.message)
        watch = Stopwatch()
        tracks, jump = camera.track(picture, seconds(header.stamp), watch)
        network = watch.timings.network
        self._sink.on_result(Result(arrival.camera, header, picture, tracks, taken, jump, network))


def seconds(stamp: Any) -> float:
    """Return a builtin_interfaces/Time in seconds."""
    return float(stamp.sec) + float(stamp.nanosec) * 1e-9
