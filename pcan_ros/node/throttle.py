"""Log the same thing at most every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable


class Throttle:
    """Lets a kind of message through once per period, and counts what it held back."""

    def __init__(self, period: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._period, self._clock = period, clock
        self._last: dict[str, float] = {}
        self._held: dict[str, int] = {}

    def admit(self, kind: str, text: str) -> str | None:
        """Return a message, with how many of its kind were held back before it; None to hold it back."""
        now = self._clock()
        if kind in self._last and now - self._last[kind] < self._period:
            self._held[kind] = self._held.get(kind, 0) + 1
            return None
        self._last[kind] = now
        held = self._held.pop(kind, 0)
        return text + (f" ({held} more like this)" if held else "")
