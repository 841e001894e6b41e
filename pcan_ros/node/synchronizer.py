"""Images of one instant from several cameras, put together by message_filters; the rest is counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from pcan_model.core.stamps import nanoseconds
from pcan_ros.node.parameters import ParameterError

QUEUE = 10  # images of a camera that wait for their partners; longer queues match no more, later


def message_filters(mode: str) -> Any:
    """Return the package; raises ParameterError where it is not installed."""
    try:
        import message_filters as package
    except ModuleNotFoundError as error:
        if error.name != "message_filters":
            raise
        install = "sudo apt-get install ros-$ROS_DISTRO-message-filters"
        raise ParameterError(
            f"sync: {mode} needs message_filters, which is not installed: {install}"
        ) from None
    return package


class CamerasInStep:
    """Takes every camera's images, one thread at a time, and hands on those of one instant together."""

    def __init__(
        self,
        cameras: int,
        mode: str,
        slop: float,
        *,
        deliver: Callable[[tuple[Any, ...]], None],
        lose: Callable[[int, int], None],
        back: float = 0.5,
    ) -> None:
        """Start with nothing.

        mode     exact, or approximate: stamps at most `slop` seconds apart
        deliver  takes a message of each camera
        lose     takes a camera and how many of its images found no partners
        back     seconds that a stamp may go back before what waits is forgotten, as in a bag that loops
        """
        self._filters = message_filters(mode)
        self._mode, self._slop, self._back = mode, slop, round(back * 1e9)
        self._deliver, self._lose = deliver, lose
        self._waiting: list[deque[int]] = [deque() for _ in range(cameras)]  # stamps, nanoseconds
        self._newest = [0] * cameras
        self._begin()

    def put(self, camera: int, message: Any) -> None:
        """Take an image; its instant is handed on when the last of its partners is here."""
        stamp, waiting = nanoseconds(message.header.stamp), self._waiting[camera]
        if stamp < self._newest[camera] - self._back:
            self.clear()
        self._newest[camera] = stamp
        waiting.append(stamp)
        if len(waiting) > QUEUE:
            waiting.remove(min(waiting))  # as message_filters does
            self._lose(camera, 1)
        self._inputs[camera].signalMessage(message)

    def clear(self) -> None:
        """Forget what waits for partners."""
        for camera, waiting in enumerate(self._waiting):
            self._lose(camera, len(waiting))
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
        """Hand an instant on; what is older has missed it."""
        for camera, message in enumerate(messages):
            stamp, waiting = nanoseconds(message.header.stamp), self._waiting[camera]
            later = [each for each in waiting if each > stamp]
            self._lose(camera, len(waiting) - len(later) - (stamp in waiting))
            waiting.clear()
            waiting.extend(later)
        self._deliver(messages)
