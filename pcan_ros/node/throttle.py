"""Limits the rate of similar log messages."""

from __future__ import annotations

import time
from collections.abc import Callable


class Throttle:
    """Passes one message of each kind per period and counts the suppressed ones."""

    def __init__(self, period: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._period, self._clock = period, clock
        self._last: dict[str, float] = {}
        self._suppressed: dict[str, int] = {}

    def admit(self, kind: str, text: str) -> str | None:
        """Return the message with the number of suppressed ones before it, or None to suppress it."""
        now = self._clock()
        if kind in self._last and now - self._last[kind] < self._period:
            self._suppressed[kind] = self._suppressed.get(kind, 0) + 1
            return None
        self._last[kind] = now
        suppressed = self._suppressed.pop(kind, 0)
        return text + (f" ({suppressed} more like this)" if suppressed else "")
