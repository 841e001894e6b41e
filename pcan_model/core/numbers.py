"""Numbers as files hold them: whole or finite ones, and nothing that merely looks like one."""

from __future__ import annotations

import math
import re

WHOLE = re.compile(r"[0-9]{1,30}(\.0*)?", re.ASCII)


def whole_text(text: str) -> int | None:
    """Return a whole number from 0 up in plain digits, also when written as 1.0; None for anything else."""
    return int(text.partition(".")[0]) if WHOLE.fullmatch(text) else None


def whole(value: object) -> int | None:
    """Return a whole number of JSON, where 1.0 is one; None for anything else, text and true among it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if math.isfinite(value) and value == int(value) else None


def finite(value: object) -> float | None:
    """Return a finite number of JSON; None for anything else, text, true and NaN among it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
