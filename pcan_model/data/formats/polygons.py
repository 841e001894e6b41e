"""Polygons: Scalabel's `poly2d` with lines and Bézier curves, and COCO's, rasterised to masks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from pcan_model.core.numbers import finite
from pcan_model.core.rle import Rle

CURVE_STEPS = 32  # line segments per curve
SHIFT = 4  # fractional bits of coordinates for cv2
FEWEST = 3  # corners of a polygon
FARTHEST = 1e6  # limit of coordinates, pixels
LONGEST = 4e6  # limit of an outline's length, pixels


def fill_polygons(polygons: Iterable[dict[str, Any]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Rasterise the union of closed polygons, (H, W); (0, 0) is the corner of the first pixel, as in BDD100K.

    Polygons with fewer than FEWEST corners are empty. Raises ValueError for invalid polygons.
    """
    canvas = np.zeros(size, np.uint8)
    for polygon in polygons:
        points = outline(*corners(polygon))
        if len(points) >= FEWEST:
            cv2.fillPoly(canvas, [np.round((points - 0.5) * 2**SHIFT).astype(np.int32)], 1, shift=SHIFT)
    return canvas.astype(bool)


def corners(polygon: Any) -> tuple[NDArray[np.float64], str]:
    """Return the vertices (N, 2) of a polygon and their types; raises ValueError if invalid."""
    if not isinstance(polygon, dict) or not isinstance(polygon.get("vertices"), list):
        raise ValueError("no list of vertices")
    points = [point for point in polygon["vertices"] if isinstance(point, list) and len(point) == 2]
    values = [finite(side) for point in points for side in point]
    if len(points) < len(polygon["vertices"]) or not all(
        v is not None and abs(v) <= FARTHEST for v in values
    ):
        raise ValueError("vertices that are not two numbers near the image")
    kinds = polygon.get("types") or "L" * len(points)
    if not isinstance(kinds, str) or len(kinds) != len(points) or set(kinds) - {"L", "C"}:
        raise ValueError(f"types other than L or C for each of {len(points)} vertices")
    return np.array(values, np.float64).reshape(-1, 2), kinds


def run_lengths(parts: Any, size: tuple[int, int]) -> tuple[Rle | None, int]:
    """Convert COCO polygons, lists of x, y, x, y, …, to run lengths; also returns the number of skipped ones.

    Polygons with fewer than FEWEST corners are empty and skipped; None if no others are left.
    Raises ValueError for invalid polygons.
    """
    if not isinstance(parts, list) or not all(isinstance(part, list) for part in parts):
        raise ValueError("no list of polygons, each a list of x, y, x, y, …")
    kept = [part for part in parts if len(part) >= 2 * FEWEST]
    for part in kept:
        values = [finite(side) for side in part]
        if len(part) % 2 or not all(map(_near, values)):
            raise ValueError("a polygon that is not pairs of numbers near the image")
        if np.abs(np.diff(np.array(values).reshape(-1, 2), axis=0)).sum() > LONGEST:
            raise ValueError("an outline that is too long")  # pycocotools' memory grows with it
    skipped = len(parts) - len(kept) if parts else 1
    return (coco.merge(coco.frPyObjects(kept, *size)) if kept else None), skipped


def _near(side: float | None) -> bool:
    return side is not None and abs(side) <= FARTHEST


def outline(vertices: NDArray[np.float64], types: str | None) -> NDArray[np.float64]:
    """Replace curves by line segments.

    vertices (N, 2)  x, y in pixels
    types    N letters: L a corner, C one of the three further points of a cubic Bézier curve
    returns  (M, 2)
    """
    kinds = types or "L" * len(vertices)
    points: list[NDArray[np.float64]] = []
    position = 0
    while position < len(vertices):
        if kinds[position] == "C" and points and position + 2 < len(vertices):
            points.extend(_curve(points[-1], *vertices[position : position + 3]))
            position += 3
        else:
            points.append(vertices[position])
            position += 1
    return np.array(points).reshape(-1, 2)


def _curve(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64]
) -> NDArray[np.float64]:
    t = np.linspace(0, 1, CURVE_STEPS + 1)[1:, None]
    result: NDArray[np.float64] = (
        (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
    )
    return result
