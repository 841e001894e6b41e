"""The points of an object among all points under its mask: the nearest mode of their depth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BIN, RELATIVE = 0.3, 0.03  # width of a bin: metres, and share of the distance
REST = 0.08  # share of its mode's height below which the object ends
GAP = 1.0  # metres without points that end it


def nearest_mode(
    depth: NDArray[Any], noise: float, *, share: float = 0.3, longest: float = 20.0
) -> NDArray[np.bool_]:
    """Return which depths belong to the nearest mode, (N,).

    depth    (N,)  metres; N > 0
    noise    standard deviation of a depth, metres
    share    of the highest mode that the nearest one has at least; lower ones are stray points
    longest  greatest depth of an object, metres
    """
    width = max(BIN, RELATIVE * float(np.median(depth)), noise)
    low = float(depth.min())
    bins = ((depth - low) / width).astype(np.int64)
    counts = np.convolve(np.bincount(bins), (0.5, 1.0, 0.5), "same")
    mode = int(np.argmax(counts >= share * counts.max()))
    while mode + 1 < len(counts) and counts[mode + 1] > counts[mode]:
        mode += 1
    solid = counts >= REST * counts[mode]
    gap = max(1, round(GAP / width))
    first = _end(solid, mode, -1, gap)
    last = _end(solid, mode, +1, gap)
    last = min(last, first + max(1, int((longest + 4 * noise) / width)))
    return (bins >= first) & (bins <= last)


def _end(solid: NDArray[np.bool_], start: int, step: int, gap: int) -> int:
    """Return the last solid bin before a gap, from `start` in one direction."""
    end = here = start
    while 0 <= here + step < len(solid) and abs(here - end) <= gap:
        here += step
        if solid[here]:
            end = here
    return end
