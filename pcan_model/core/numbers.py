"""Strict parsing of whole and finite numbers in files."""

from __future__ import annotations

import math
import re

WHOLE = re.compile(r"[0-9]{1,30}(\.0*)?", re.ASCII)


def whole_text(text: str) -> int | None:
    """Parse a non-negative whole number in plain digits, also written as 1.0; None for anything else."""
    return int(text.partition(".")[0]) if WHOLE.fullmatch(text) else None


def whole(value: object) -> int | None:
    """Return a JSON value as a whole number, also from 1.0; None for anything else, such as text or true."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if math.isfinite(value) and value == int(value) else None


def finite(value: object) -> float | None:
    """Return a JSON value as a finite number; None for anything else, such as text, true or NaN."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
