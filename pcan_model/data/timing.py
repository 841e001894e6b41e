"""When the frames of a clip were taken: its rate is all that files say, and files and bags must agree."""

from __future__ import annotations

START = 1_000_000_000  # nanoseconds, of the first frame: a stamp of 0 means no time to ROS


def time_of(index: int, rate: float) -> int:
    """Return the stamp of a frame in nanoseconds; `rate` in frames per second."""
    return START + round(index * 1e9 / rate)
