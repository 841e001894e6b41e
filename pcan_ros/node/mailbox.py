"""The newest message of every camera, and nothing older: callbacks put, one worker takes in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Condition
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A message and when it came."""

    camera: int  # index into the list of cameras
    message: Any
    time: float  # monotonic clock, seconds


@dataclass(slots=True)
class Counts:
    """What became of the messages of one camera; only the mailbox writes here."""

    received: int = 0
    replaced: int = 0  # by a newer one before their turn, or by nothing
    alone: int = 0  # left without the other cameras' images of their instant

    @property
    def dropped(self) -> int:
        """Return how many were not tracked though they could be read."""
        return self.replaced + self.alone


class Mailbox:
    """One slot per camera; safe between threads."""

    def __init__(self, cameras: int) -> None:
        self._slots: list[Arrival | None] = [None] * cameras
        self._counts = tuple(Counts() for _ in range(cameras))
        self._changed = Condition()
        self._last = cameras - 1
        self._closed = False

    def put(self, camera: int, message: Any, now: float) -> None:
        """Keep a message in place of the one that waits; counts what it replaces."""
        with self._changed:
            self._counts[camera].received += 1
            self._place(camera, message, now)

    def put_together(self, messages: Sequence[Any], now: float) -> None:
        """Keep a message of each camera, all at once; that they came, `arrived` has counted."""
        with self._changed:
            for camera, message in enumerate(messages):
                self._place(camera, message, now)

    def arrived(self, camera: int) -> None:
        """Count a message that waits elsewhere for those of the other cameras."""
        with self._changed:
            self._counts[camera].received += 1

    def lose(self, camera: int, number: int) -> None:
        """Count messages that the other cameras have none for."""
        with self._changed:
            self._counts[camera].alone += number

    def take(self, timeout: float, most: int = 1) -> list[Arrival]:
        """Wait for a message and return it, the cameras in turn; nothing after the timeout or when closed.

        most  how many cameras' messages are taken if they are there
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or any(self._slots), timeout)
            taken = self._turns(most)
            for arrival in taken:
                self._slots[arrival.camera] = None
                self._last = arrival.camera
            return taken

    def peek(self, most: int = 1) -> list[Arrival]:
        """Return what `take` would return now, and leave it where newer ones may replace it."""
        with self._changed:
            return self._turns(most)

    def clear(self) -> None:
        """Throw away what waits; counts it like what is replaced."""
        with self._changed:
            for camera, waiting in enumerate(self._slots):
                self._counts[camera].replaced += waiting is not None
                self._slots[camera] = None

    def close(self) -> None:
        """Wake whoever waits; nothing is handed out any more."""
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
        """Return the messages of the first cameras after the last one that have any."""
        number = len(self._slots)
        turns = (self._slots[(self._last + step) % number] for step in range(1, number + 1))
        waiting = [arrival for arrival in turns if arrival is not None]
        return [] if self._closed else waiting[:most]
