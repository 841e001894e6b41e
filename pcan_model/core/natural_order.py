"""The order in which people count files: numbers in a name by their value."""

from __future__ import annotations

import re

DIGITS = re.compile(r"(\d+)")  # decimal digits of any script; a superscript is no number


def natural_order(name: str) -> tuple[tuple[str | int, ...], str]:
    """Return a sort key for a name: `8.png` comes before `10.png`, and no two names share a key."""
    parts = DIGITS.split(name)  # texts at even places, numbers at odd ones
    return tuple(int(part) if place % 2 else part for place, part in enumerate(parts)), name
