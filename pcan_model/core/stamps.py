"""Conversion of message stamps to numbers, with the same rounding everywhere."""

from __future__ import annotations

from typing import Any


def nanoseconds(stamp: Any) -> int:
    """Return a builtin_interfaces/Time in nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def seconds(time: int) -> float:
    """Convert nanoseconds to seconds; whole seconds and the remainder are converted separately."""
    whole, rest = divmod(time, 1_000_000_000)
    return float(whole) + float(rest) * 1e-9


def stamp_seconds(stamp: Any) -> float:
    """Return a builtin_interfaces/Time in seconds."""
    return seconds(nanoseconds(stamp))
