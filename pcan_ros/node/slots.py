"""The newest message of every camera, and nothing older: callbacks put, one worker takes in turn."""

from __future__ import annotations

from dataclasses import dataclass
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
    replaced: int = 0  # by a newer one before their turn


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
            counts = self._counts[camera]
            counts.received += 1
            counts.replaced += self._slots[camera] is not None
            self._slots[camera] = Arrival(camera, message, now)
            self._changed.notify()

    def take(self, timeout: float) -> Arrival | None:
        """Wait for a message and return it, the cameras in turn; None after the timeout or when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or any(self._slots), timeout)
            return None if self._closed else self._next()

    def peek(self) -> Arrival | None:
        """Return what `take` would return now, and leave it where a newer one may replace it."""
        with self._changed:
            camera = None if self._closed else self._turn()
            return None if camera is None else self._slots[camera]

    def close(self) -> None:
        """Wake whoever waits; nothing is handed out any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def counts(self, camera: int) -> Counts:
        """Return a copy of one camera's counts."""
        with self._changed:
            counts = self._counts[camera]
            return Counts(counts.received, counts.replaced)

    def _next(self) -> Arrival | None:
        camera = self._turn()
        if camera is None:
            return None
        arrival, self._slots[camera] = self._slots[camera], None
        self._last = camera
        return arrival

    def _turn(self) -> int | None:
        """Return the first camera after the last one that has a message."""
        number = len(self._slots)
        turns = ((self._last + step) % number for step in range(1, number + 1))
        return next((camera for camera in turns if self._slots[camera] is not None), None)
