"""Counters and latencies of one camera since activation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from pcan_model.core.percentiles import percentiles
from pcan_model.tracking.pace import Pace
from pcan_ros.node.mailbox import Counts

WINDOW = 200  # frames of the latency percentiles


@dataclass(frozen=True, slots=True)
class Latency:
    """Latencies of one result, seconds."""

    cyclic: float  # since the previous result; 0 for the first
    processing: float  # from taking the image to publishing its tracks
    pipeline: float  # from the image's capture stamp to publishing its tracks
    network: float = 0.0  # in both passes of the network, host side included


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Percentiles over the last frames, seconds."""

    p50: float
    p95: float


@dataclass(slots=True)
class CameraStatistics:
    """Counters and latencies of one camera; the worker thread records, any thread reads."""

    topic: str
    counts: Callable[[], Counts]  # the mailbox's counts
    processed: int = 0
    bad: int = 0
    last_error: str = ""  # why the last bad image could not be processed
    pace: Pace = field(default_factory=Pace)  # of its key frames, at the last result
    input_size: str = ""  # of the network, at the last result
    _latencies: deque[Latency] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _published: float | None = None  # monotonic time of the last result

    def record(self, *, taken: float, now: float, age: float, network: float = 0.0) -> Latency:
        """Record a published result.

        taken    monotonic time when the worker took the image
        now      monotonic time of publishing
        age      of the capture stamp by the node's clock, seconds
        network  time in the network, seconds
        """
        cyclic = 0.0 if self._published is None else now - self._published
        latency = Latency(cyclic, now - taken, age, network)
        self._latencies.append(latency)
        self.processed += 1
        self._published = now
        return latency

    def record_bad(self, error: str) -> None:
        """Record an image that could not be processed."""
        self.bad += 1
        self.last_error = error

    @property
    def newest(self) -> Latency | None:
        """Return the latency of the last result; None before the first."""
        latencies = tuple(self._latencies)
        return latencies[-1] if latencies else None

    def percentiles(self, name: str) -> Percentiles | None:
        """Return median and 95th percentile of one field of Latency; None before the first frame."""
        found = percentiles((getattr(latency, name) for latency in tuple(self._latencies)), (50, 95))
        return Percentiles(*found) if found else None
