"""Synchronises the images of several cameras with message_filters and counts those without a match."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from pcan_model.core.stamps import nanoseconds
from pcan_ros.node.parameters import ParameterError

QUEUE = 10  # images of a camera that wait for a match; a longer queue only adds latency


def message_filters(mode: str) -> Any:
    """Return the package message_filters; raises ParameterError if it is not installed."""
    try:
        import message_filters as package
    except ModuleNotFoundError as error:
        if error.name != "message_filters":
            raise
        install = "sudo apt-get install ros-$ROS_DISTRO-message-filters"
        raise ParameterError(
            f"sync: {mode} requires message_filters, which is not installed: {install}"
        ) from None
    return package


class ImageSynchronizer:
    """Collects the images of all cameras and delivers matching ones together; not thread-safe."""

    def __init__(
        self,
        cameras: int,
        mode: str,
        slop: float,
        *,
        deliver: Callable[[tuple[Any, ...]], None],
        count_unmatched: Callable[[int, int], None],
        back: float = 0.5,
    ) -> None:
        """Create a synchroniser.

        mode     exact, or approximate: stamps at most `slop` seconds apart
        deliver  receives one message of each camera
        lose     receives a camera and the number of its images without a match
        back     a stamp that goes back by more seconds, as when a bag loops, discards the waiting images
        """
        self._filters = message_filters(mode)
        self._mode, self._slop, self._back = mode, slop, round(back * 1e9)
        self._deliver, self._count_unmatched = deliver, count_unmatched
        self._waiting: list[deque[int]] = [deque() for _ in range(cameras)]  # stamps, nanoseconds
        self._newest = [0] * cameras
        self._begin()

    def put(self, camera: int, message: Any) -> None:
        """Add an image; it is delivered with its matches as soon as all have arrived."""
        stamp, waiting = nanoseconds(message.header.stamp), self._waiting[camera]
        if stamp < self._newest[camera] - self._back:
            self.clear()
        self._newest[camera] = stamp
        waiting.append(stamp)
        if len(waiting) > QUEUE:
            waiting.remove(min(waiting))  # as message_filters does
            self._count_unmatched(camera, 1)
        self._inputs[camera].signalMessage(message)

    def clear(self) -> None:
        """Discard the images that wait for a match."""
        for camera, waiting in enumerate(self._waiting):
            self._count_unmatched(camera, len(waiting))
            waiting.clear()
            self._newest[camera] = 0
        self._begin()

    def _begin(self) -> None:
        self._inputs = [self._filters.SimpleFilter() for _ in self._waiting]
        if self._mode == "exact":
            synchronizer = self._filters.TimeSynchronizer(self._inputs, QUEUE)
        else:
            synchronizer = self._filters.ApproximateTimeSynchronizer(self._inputs, QUEUE, self._slop)
        synchronizer.registerCallback(self._on_instant)

    def _on_instant(self, *messages: Any) -> None:
        """Deliver matching images; older ones can no longer be matched."""
        for camera, message in enumerate(messages):
            stamp, waiting = nanoseconds(message.header.stamp), self._waiting[camera]
            later = [each for each in waiting if each > stamp]
            self._count_unmatched(camera, len(waiting) - len(later) - (stamp in waiting))
            waiting.clear()
            waiting.extend(later)
        self._deliver(messages)
