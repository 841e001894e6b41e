"""Measurements of a running process, and their text."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Reading:
    """One sample of a process."""

    step: int  # of the work
    resident: float  # MB
    threads: int
    files: int  # open descriptors


@dataclass(slots=True)
class Readings:
    """Samples a process repeatedly."""

    pid: int
    warm: float = 0.1  # share of the work after which everything should stay as it is
    taken: list[Reading] = field(default_factory=list)

    def take(self, step: int) -> None:
        """Take a sample."""
        place = Path(f"/proc/{self.pid}")
        resident = int((place / "statm").read_text().split()[1]) * PAGE / 1e6
        self.taken.append(
            Reading(
                step, resident, len(list((place / "task").iterdir())), len(list((place / "fd").iterdir()))
            )
        )

    @property
    def steady(self) -> list[Reading]:
        """Return the samples after the warm-up."""
        return [reading for reading in self.taken if reading.step >= self.warm * self.taken[-1].step]

    @property
    def growth(self) -> float:
        """Return how much the resident memory grew after the warm-up, MB."""
        return self.steady[-1].resident - self.steady[0].resident

    def text(self) -> str:
        """Return the measurement as a line of text."""
        first, half, last = self.steady[0], self.steady[len(self.steady) // 2], self.steady[-1]
        places = ", ".join(f"{each.resident:.1f} MB at {each.step}" for each in (first, half, last))
        return (
            f"memory {places} "
            f"({self.growth:+.1f} MB); threads {first.threads} to {last.threads}, "
            f"open files {first.files} to {last.files}"
        )


class Clock:
    """Wall time and CPU time since construction, seconds."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def text(self) -> str:
        """Return both."""
        return f"{time.monotonic() - self._wall:.0f} s, {time.process_time() - self._cpu:.0f} s of a core"


def milliseconds(values: Sequence[float]) -> str:
    """Return median, 99th percentile and maximum of times in seconds."""
    ordered = sorted(values)
    picked = (ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99, 1.0))
    return " / ".join(f"{1000 * value:.1f}" for value in picked) + " ms (p50 / p99 / max)"
