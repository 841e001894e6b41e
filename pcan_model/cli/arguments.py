"""What the commands' arguments have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

Number = TypeVar("Number", int, float)


def at_least(low: Number) -> Callable[[str], Number]:
    """Return an argparse type: a number of the kind of `low`, not below it."""
    kind = type(low)

    def read(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not value >= low:  # also of nan
            raise argparse.ArgumentTypeError(f"expected a number from {low} up, got {text!r}")
        return value

    return read
