"""Motion of objects between two images: sparse optical flow of points on their masks.

The shift is the median flow of an object's points, the scale the median ratio of their distances (as in
MedianFlow, Kalal et al. 2010). A point counts if the flow back leads to where it came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.geometry import sigmoid

GRID = 5  # points along each side of a box; those on the mask are followed
INSIDE = 0.6  # least probability of the mask at a point
WINDOW, LEVELS = (11, 11), 2  # of the flow
RETURN = 1.0  # px of the view; the flow back may end so far from the start
LEAST = 3  # points that determine a motion
APART = 2.0  # px of the view; closer points say nothing of the scale
SCALE = 0.1  # largest change of size between two images

Points = NDArray[np.float32]  # (P, 2) x y, pixels of the view


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """Where an object went."""

    box: NDArray[np.float32] | None  # (4,) in the units of the box given; None: too few points agree
    lost: float  # share of its points whose flow back led elsewhere, in [0, 1]; 0 without points


def follow(
    before: NDArray[np.uint8],
    now: NDArray[np.uint8],
    boxes: NDArray[np.float32],
    masks: NDArray[np.float32],
    guesses: NDArray[np.float32],
    scale: float,
) -> list[Followed]:
    """Follow K objects from one view to the next.

    before, now  (h, w)   grey images of the same size
    boxes        (K, 4)   x1 y1 x2 y2 in `before`
    masks        (K, m, m)  logits over the boxes
    guesses      (K, 4)   predicted boxes in `now`, where the search starts
    scale                 pixels of the view in one unit of the boxes
    """
    points = [_points_on(box * scale, mask) for box, mask in zip(boxes, masks, strict=True)]
    counts = [len(each) for each in points]
    if not sum(counts):
        return [Followed(None, 0.0) for _ in boxes]
    shifts = (guesses - boxes).reshape(-1, 2, 2).mean(1) * scale
    start = np.concatenate(points)
    end, sure = _flow(before, now, start, start + shifts.repeat(counts, 0).astype(np.float32))
    cuts = np.cumsum(counts)[:-1]
    starts, ends, kept = (cast(list[Any], np.split(values, cuts)) for values in (start, end, sure))
    return [_followed(*each, scale) for each in zip(boxes, starts, ends, kept, strict=True)]


def _points_on(box: NDArray[np.float32], mask: NDArray[np.float32]) -> Points:
    """Return the points of a regular grid over a box, in pixels of the view, that lie on its mask."""
    steps = (np.arange(GRID, dtype=np.float32) + 0.5) / GRID
    x, y = (each.ravel() for each in np.meshgrid(steps, steps))
    rows, columns = ((each * len(mask)).astype(int) for each in (y, x))
    inside = sigmoid(mask[rows, columns]) >= INSIDE
    grid = np.stack([x, y], 1)[inside]
    return cast(Points, (box[:2] + grid * (box[2:] - box[:2])).astype(np.float32))


def _flow(
    before: NDArray[np.uint8], now: NDArray[np.uint8], start: Points, guess: Points
) -> tuple[Points, NDArray[np.bool_]]:
    """Return where points went, and for which of them the flow back agrees."""
    options: dict[str, Any] = {
        "winSize": WINDOW,
        "maxLevel": LEVELS,
        "flags": cv2.OPTFLOW_USE_INITIAL_FLOW,
    }
    flow: Any = cv2.calcOpticalFlowPyrLK
    end, there, _ = flow(before, now, start[:, None], guess[:, None].copy(), **options)
    back, again, _ = flow(now, before, end, start[:, None].copy(), **options)
    near = np.abs(back[:, 0] - start).max(1) < RETURN
    return end[:, 0], (there.ravel() > 0) & (again.ravel() > 0) & near


def _followed(
    box: NDArray[np.float32], start: Points, end: Points, sure: NDArray[np.bool_], scale: float
) -> Followed:
    """Fit shift and scale of one object to its points."""
    lost = 1 - float(sure.mean()) if len(sure) else 0.0
    if sure.sum() < LEAST:
        return Followed(None, lost)
    a, b = start[sure], end[sure]
    pivot, shift = np.median(a, 0), np.median(b - a, 0)
    corners = (box.reshape(2, 2) * scale - pivot) * _growth(a, b) + pivot + shift
    return Followed((corners / scale).reshape(4).astype(np.float32), lost)


def _growth(a: Points, b: Points) -> float:
    """Return the median ratio of the distances of points (P, 2) after and before, within 1 +- SCALE."""
    i, j = np.triu_indices(len(a), 1)
    before, after = (np.linalg.norm(each[i] - each[j], axis=1) for each in (a, b))
    apart = before > APART
    if apart.sum() < LEAST:
        return 1.0
    return float(np.clip(np.median(after[apart] / before[apart]), 1 - SCALE, 1 + SCALE))
