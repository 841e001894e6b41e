"""One camera's tracking: the state between frames, when it starts anew, and how fast it goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

import numpy as np

from pcan_model.core.structures import State

WINDOW = 200  # frames that the latency percentiles look back


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one result, in seconds."""

    cyclic: float  # since the previous result, 0 in the first
    processing: float  # from taking the image to publishing its tracks
    pipeline: float  # from the image's capture stamp to publishing its tracks
    network: float = 0.0  # in both passes of the network, host side included


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Over the last frames, in seconds."""

    p50: float
    p95: float


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


class History:
    """The latencies of the last frames; one thread appends, another reads."""

    def __init__(self) -> None:
        self._last: deque[Latency] = deque(maxlen=WINDOW)

    def append(self, latency: Latency) -> None:
        """Remember one frame's latencies."""
        self._last.append(latency)

    def percentiles(self, name: str) -> Percentiles | None:
        """Return median and 95th percentile of one field of Latency; None before the first frame."""
        values = [getattr(latency, name) for latency in tuple(self._last)]
        return Percentiles(*(float(p) for p in np.percentile(values, (50, 95)))) if values else None


@dataclass(slots=True)
class Camera:
    """The tracker's state of one camera; `begin` and `keep` are the worker's, `reset` is anybody's."""

    topic: str
    limits: TimeLimits
    processed: int = 0
    bad: int = 0
    history: History = field(default_factory=History)
    state: State | None = None
    _stamp: float | None = None  # of the last frame
    _published: float | None = None  # monotonic time of the last result
    _reset: Event = field(default_factory=Event)

    def reset(self) -> None:
        """Forget all tracks before the next frame."""
        self._reset.set()

    def begin(self, stamp: float, start: Callable[[], State]) -> tuple[State, float]:
        """Return the state for a frame captured at `stamp`, and how far time jumped.

        start    makes the state before the first frame
        returns  0 for the jump unless it made the camera start anew; back is negative, in seconds
        """
        jump = time_jump(self._stamp, stamp, self.limits)
        if jump or self.state is None or self._reset.is_set():
            self._reset.clear()
            self.state = None  # its memory on the device is free for the new one
            self.state = start()
        return self.state, jump

    def keep(self, state: State, stamp: float) -> None:
        """Take over the state that a frame left."""
        self.state, self._stamp = state, stamp

    def finish(self, *, taken: float, now: float, age: float, network: float = 0.0) -> Latency:
        """Book a published result.

        taken  monotonic time when the worker took the image
        now    monotonic time of publishing
        age    of the capture stamp by the node's clock, seconds
        network  time in the network, seconds
        """
        cyclic = 0.0 if self._published is None else now - self._published
        latency = Latency(cyclic, now - taken, age, network)
        self.history.append(latency)
        self.processed += 1
        self._published = now
        return latency
