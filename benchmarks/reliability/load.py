"""Overload by several cameras: memory, counts and latency of the node."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability.cameras import Cameras, pictures, running
from benchmarks.reliability.measures import Readings

TRIAL = 200  # images sent in lock-step to measure the rate of the node
SAMPLES = 40  # memory measurements
QUIET = 1.0  # seconds without a new result after which nothing waits any more


@dataclass(frozen=True, slots=True)
class Overload:
    """Counts of the images."""

    cameras: int
    capacity: float  # images per second in lock-step
    rate: float  # images a second that were sent
    sent: int
    received: int
    processed: int
    dropped: int
    bad: int
    latencies: tuple[float, ...]  # from stamp to published tracks, seconds
    readings: Readings
    code: int  # that the node ended with

    @property
    def unaccounted(self) -> int:
        """Return the number of received images that are in no other count."""
        return self.received - self.processed - self.dropped - self.bad


def overload(model: Path, images: int, cameras: int, factor: float) -> Overload:
    """Send images at `factor` times the rate that the node can process."""
    with running(model, cameras) as (process, sender):
        capacity = _capacity(sender)
        sender.latencies.clear()
        readings = Readings(process.pid)
        began = time.monotonic()
        _send(sender, images, factor * capacity, readings)
        rate = images / (time.monotonic() - began)
        _settle(sender)
        counts = [sender.total(f"frames_{field}") for field in ("received", "processed", "dropped", "bad")]
        sent, latencies = images + TRIAL, tuple(sender.latencies)
        code = process.stop()
    return Overload(cameras, capacity, rate, sent, *counts, latencies, readings, code)


def _capacity(sender: Cameras) -> float:
    """Return the images per second in lock-step."""
    messages, began = pictures(), 0.0
    for number in range(TRIAL):
        if number == TRIAL // 2:
            began = time.monotonic()
        sender.send(number % len(sender.topics), messages[number % len(messages)])
        if not sender.until(lambda n=number: sender.total("frames_processed") > n):  # type: ignore[misc]
            raise RuntimeError(f"image {number} was not answered")
    return (TRIAL - TRIAL // 2) / (time.monotonic() - began)


def _send(sender: Cameras, images: int, rate: float, readings: Readings) -> None:
    messages, began = pictures(), time.monotonic()
    for number in range(images):
        sender.send(number % len(sender.topics), messages[number % len(messages)])
        if number % max(1, images // SAMPLES) == 0 or number == images - 1:
            readings.take(number)
        ahead = began + (number + 1) / rate - time.monotonic()
        sender.listen(ahead if ahead > 0 else 0.0)


def _settle(sender: Cameras) -> None:
    """Spin until no more results arrive."""
    last = -1
    while last != (last := sender.total("frames_processed")):
        sender.listen(QUIET)
