"""Scalabel's `poly2d`: corners joined by straight lines and Bézier curves, filled to a mask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

CURVE_STEPS = 32  # straight pieces per curve
SHIFT = 4  # binary digits after the point that cv2 takes


def fill_polygons(polygons: Iterable[dict[str, Any]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill the union of closed polygons, (H, W); (0, 0) is the corner of the first pixel, as in BDD100K."""
    canvas = np.zeros(size, np.uint8)
    for polygon in polygons:
        points = outline(np.array(polygon["vertices"], np.float64), polygon.get("types"))
        cv2.fillPoly(canvas, [np.round((points - 0.5) * 2**SHIFT).astype(np.int32)], 1, shift=SHIFT)
    return canvas.astype(bool)


def outline(vertices: NDArray[np.float64], types: str | None) -> NDArray[np.float64]:
    """Replace curves by short straight lines.

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
