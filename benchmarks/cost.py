"""CPU and wall time of a piece of work."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one piece of work."""

    wall: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu)

    def __str__(self) -> str:
        return f"{1e3 * self.cpu:.0f} | {1e3 * self.wall:.0f}"


def least(costs: list[Cost]) -> Cost:
    """Return the lowest wall time and the lowest CPU time."""
    return Cost(min(c.wall for c in costs), min(c.cpu for c in costs))


def timed(work: Callable[[], Result]) -> tuple[Result, Cost]:
    """Run a function; returns its result and its time."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, Cost(time.perf_counter() - wall, time.process_time() - cpu)
