"""Run lengths of one square in a small image."""

from __future__ import annotations

from typing import Any

import numpy as np

from pcan_model.core.rle import encode

SIZE = (24, 60)


def run(x: int = 3, size: tuple[int, int] = SIZE) -> dict[str, Any]:
    mask = np.zeros(size, bool)
    mask[5:15, x : x + 9] = True
    return encode(mask)
