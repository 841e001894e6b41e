"""A mailbox with the newest message of each camera: callbacks put, one worker takes, cameras in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Condition
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A message and its time of arrival."""

    camera: int  # index into the list of cameras
    message: Any
    time: float  # monotonic clock, seconds


@dataclass(slots=True)
class Counts:
    """Message counts of one camera; only the mailbox changes them."""

    received: int = 0
    replaced: int = 0  # by a newer one before tracking, or cleared
    unmatched: int = 0  # without matching images of the other cameras

    @property
    def dropped(self) -> int:
        """Return how many messages were not tracked, other than bad ones."""
        return self.replaced + self.unmatched


class Mailbox:
    """One slot per camera; thread-safe."""

    def __init__(self, cameras: int) -> None:
        self._slots: list[Arrival | None] = [None] * cameras
        self._counts = tuple(Counts() for _ in range(cameras))
        self._changed = Condition()
        self._last = cameras - 1
        self._closed = False

    def put(self, camera: int, message: Any, now: float) -> None:
        """Store a message; counts the waiting one that it replaces."""
        with self._changed:
            self._counts[camera].received += 1
            self._place(camera, message, now)

    def put_together(self, messages: Sequence[Any], now: float) -> None:
        """Store one message of each camera at once; `arrived` has counted them already."""
        with self._changed:
            for camera, message in enumerate(messages):
                self._place(camera, message, now)

    def arrived(self, camera: int) -> None:
        """Count a message that waits in the synchroniser."""
        with self._changed:
            self._counts[camera].received += 1

    def count_unmatched(self, camera: int, number: int) -> None:
        """Count messages without matching ones of the other cameras."""
        with self._changed:
            self._counts[camera].unmatched += number

    def take(self, timeout: float, most: int = 1) -> list[Arrival]:
        """Wait for messages and remove them, cameras in turn; empty after the timeout or when closed.

        most  largest number of messages to take, one per camera
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or any(self._slots), timeout)
            taken = self._turns(most)
            for arrival in taken:
                self._slots[arrival.camera] = None
                self._last = arrival.camera
            return taken

    def peek(self, most: int = 1) -> list[Arrival]:
        """Return what `take` would return now, without removing it; newer messages may replace it."""
        with self._changed:
            return self._turns(most)

    def clear(self) -> None:
        """Discard the waiting messages; they count as replaced."""
        with self._changed:
            for camera, waiting in enumerate(self._slots):
                self._counts[camera].replaced += waiting is not None
                self._slots[camera] = None

    def close(self) -> None:
        """Wake the waiting thread; from now on `take` returns nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def counts(self, camera: int) -> Counts:
        """Return a copy of one camera's counts."""
        with self._changed:
            counts = self._counts[camera]
            return replace(counts)

    def _place(self, camera: int, message: Any, now: float) -> None:
        self._counts[camera].replaced += self._slots[camera] is not None
        self._slots[camera] = Arrival(camera, message, now)
        self._changed.notify()

    def _turns(self, most: int) -> list[Arrival]:
        """Return up to `most` waiting messages, in turn from the camera after the last one taken."""
        number = len(self._slots)
        turns = (self._slots[(self._last + step) % number] for step in range(1, number + 1))
        waiting = [arrival for arrival in turns if arrival is not None]
        return [] if self._closed else waiting[:most]
