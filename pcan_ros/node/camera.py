"""The tracker state of one camera between frames, and when it is reset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Event

from pcan_model.core.config import InputConfig
from pcan_model.core.geometry import Letterbox, fit_image
from pcan_model.core.structures import FrameKind, State
from pcan_model.tracking.input_size_choice import SizeChoice, resized
from pcan_model.tracking.pace import Pace


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Jumps between the stamps of a camera that reset its tracks, in seconds."""

    back: float = 0.5  # reset after a larger jump back: a looping bag, or a seek
    ahead: float = 10.0  # reset after a longer gap; 0: never


def time_jump(last: float | None, stamp: float, limits: TimeLimits) -> float:
    """Return the jump in seconds if it exceeds the limits, else 0; a jump back is negative."""
    jump = 0.0 if last is None else stamp - last
    too_far = -jump > limits.back or 0 < limits.ahead < jump
    return jump if too_far else 0.0


@dataclass(slots=True)
class Camera:
    """The tracker state of one camera; the worker calls `begin` and `keep`, any thread calls `reset`."""

    limits: TimeLimits
    state: State | None = None
    pace: Pace = field(default_factory=Pace)  # which images become key frames
    sizes: SizeChoice = field(default_factory=SizeChoice)  # of the network's input
    _input: InputConfig | None = None  # of the last frame
    _stamp: float | None = None  # of the last frame
    _reset: Event = field(default_factory=Event)

    def reset(self) -> None:
        """Discard all tracks before the next frame."""
        self._reset.set()

    def begin(self, stamp: float, start: Callable[[], State]) -> tuple[State, float]:
        """Return the state for a frame captured at `stamp`, and the time jump.

        start    creates the state before the first frame
        returns  state, and jump in seconds: 0 unless it reset the camera, negative for a jump back
        """
        if self._reset.is_set():
            self._reset.clear()
            self.state = self._stamp = None  # no time jump is reported after a reset
        jump = time_jump(self._stamp, stamp, self.limits)
        if jump or self.state is None:
            self.state = None  # frees its device memory for the new state
            self.state = start()
        return self.state, jump

    def at_size(self, state: State, letterbox: Letterbox, size: InputConfig) -> State:
        """Return the state for a frame at an input size, which may differ from that of the last frame."""
        last, self._input = self._input, size
        if last is None or last == size:
            return state
        return resized(state, fit_image(letterbox.source, last), letterbox)

    def measure(self, kind: FrameKind, seconds: float, usable: int | None = None) -> None:
        """Adapt pace and input size to the time of a frame; usable: sizes to choose from, None: all."""
        self.pace = self.pace.after(kind, seconds)
        if kind is FrameKind.KEY:
            before, self.sizes = self.sizes, self.sizes.after(self.pace, usable)
            if self.sizes.index != before.index:
                self.pace = replace(self.pace, key=self.sizes.expected(self.sizes.index))

    def keep(self, state: State, stamp: float) -> None:
        """Store the state after a frame."""
        self.state, self._stamp = state, stamp
