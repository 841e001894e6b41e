"""Natural sort order of file names: numbers in a name compare by value."""

from __future__ import annotations

import re

DIGITS = re.compile(r"(\d+)")  # decimal digits of any script, but not superscripts


def natural_order(name: str) -> tuple[tuple[str | int, ...], str]:
    """Return a sort key for a name: `8.png` comes before `10.png`; keys of different names differ."""
    parts = DIGITS.split(name)  # text at even positions, numbers at odd ones
    return tuple(int(part) if i % 2 else part for i, part in enumerate(parts)), name
