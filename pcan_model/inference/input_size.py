"""Sizes of the network's input as text, such as `384x640`: height x width, pixels."""

from __future__ import annotations

import re

STRIDE = 32  # of the coarsest pyramid level; both sides are multiples of it
LONGEST = 8192  # pixels of a side
LARGEST = "largest"  # of a model's sizes
AUTO = "auto"  # any of a model's sizes, as a latency budget allows
DESCRIPTION = "input size of a model with several, such as 384x640, or largest; empty: the model's default"


def size_text(height: int, width: int) -> str:
    """Return the text of a size."""
    return f"{height}x{width}"


def parse_size(text: str) -> tuple[int, int]:
    """Return height and width of a size such as `384x640`; raises ValueError for anything else."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text, re.ASCII)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(0 < side <= LONGEST and side % STRIDE == 0 for side in size):
        raise ValueError(
            f"size: expected HEIGHTxWIDTH in multiples of {STRIDE}, such as 384x640; got {text!r}"
        )
    return size
