"""One camera's tracking: the state between frames, and when it starts anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from pcan_model.core.structures import State


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How far the stamps of a camera may jump before its tracks are reset, in seconds."""

    back: float = 0.5  # a jump further back is a bag that loops, or a seek
    ahead: float = 10.0  # after a longer gap the old tracks mean nothing; 0 for never


def time_jump(last: float | None, stamp: float, limits: TimeLimits) -> float:
    """Return by how much time jumped beyond what is tolerated, else 0; back is negative, in seconds."""
    jump = 0.0 if last is None else stamp - last
    too_far = -jump > limits.back or 0 < limits.ahead < jump
    return jump if too_far else 0.0


@dataclass(slots=True)
class Camera:
    """The tracker's state of one camera; `begin` and `keep` are the worker's, `reset` any thread's."""

    limits: TimeLimits
    state: State | None = None
    _stamp: float | None = None  # of the last frame
    _reset: Event = field(default_factory=Event)

    def reset(self) -> None:
        """Forget all tracks before the next frame."""
        self._reset.set()

    def begin(self, stamp: float, start: Callable[[], State]) -> tuple[State, float]:
        """Return the state for a frame captured at `stamp`, and how far time jumped.

        start    makes the state before the first frame
        returns  0 for the jump unless it made the camera start anew; back is negative, in seconds
        """
        if self._reset.is_set():
            self._reset.clear()
            self.state = self._stamp = None  # however long ago the last frame was, it is forgotten
        jump = time_jump(self._stamp, stamp, self.limits)
        if jump or self.state is None:
            self.state = None  # its memory on the device is free for the new one
            self.state = start()
        return self.state, jump

    def keep(self, state: State, stamp: float) -> None:
        """Take over the state that a frame left."""
        self.state, self._stamp = state, stamp
