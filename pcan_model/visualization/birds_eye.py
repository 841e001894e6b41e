"""Bird's-eye view: boxes on the ground around the camera, in the colours of their tracks."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from pcan_model.core.space import Box3D, Floats, Pose
from pcan_model.visualization.overlay import RgbImage, colour, write

AHEAD, BEHIND, ASIDE = 60.0, 4.0, 22.0  # metres that are shown
GRID = 10.0  # metres between the lines
PAPER, LINE, INK = (24, 24, 28), (58, 58, 64), (220, 220, 220)
ARROW = 1.0  # seconds of way that an arrow shows


def birds_eye(boxes: Sequence[Box3D], camera: Pose, height: int) -> RgbImage:
    """Draw boxes around the camera, which looks up, on an image of a height in pixels, (height, W, 3) RGB.

    boxes   in a fixed frame
    camera  pose of the optical frame in the same fixed frame, whose z is up
    """
    scale = height / (AHEAD + BEHIND)
    canvas = np.full((height, max(1, round(2 * ASIDE * scale)), 3), PAPER, np.uint8)
    _grid(canvas, scale)
    forward = camera.rotation[:2, 2]
    forward = forward / max(float(np.linalg.norm(forward)), 1e-9)
    axes = np.stack([forward, np.array([-forward[1], forward[0]])])  # ahead and left

    def pixels(ground: Floats) -> np.ndarray:
        ahead, left = axes @ (ground - camera.translation[:2]).T
        return np.stack([(ASIDE - left) * scale, (AHEAD - ahead) * scale], axis=-1)

    for box in sorted(boxes, key=lambda each: -float(np.linalg.norm(each.centre - camera.translation))):
        _draw(canvas, box, pixels(box.footprint), pixels(np.stack([box.centre[:2], _ahead(box)])))
    place = (round(ASIDE * scale), round(AHEAD * scale))
    cv2.drawMarker(canvas, place, INK, cv2.MARKER_TRIANGLE_UP, max(8, height // 40), 2, cv2.LINE_AA)
    return canvas


def beside(image: RgbImage, view: RgbImage) -> RgbImage:
    """Return an image with a view of the same height on its right."""
    return np.concatenate([image, view], axis=1)


def _ahead(box: Box3D) -> Floats:
    """Return the place of a box after ARROW seconds."""
    place: Floats = box.centre[:2] + ARROW * box.velocity[:2]
    return place


def _draw(canvas: RgbImage, box: Box3D, corners: np.ndarray, way: np.ndarray) -> None:
    """Draw a filled box, its front if known, its way and its id.

    corners  (4, 2) pixels: front left, rear left, rear right, front right
    way      (2, 2) pixels of its centre, now and after ARROW seconds
    """
    limit = 4 * max(canvas.shape[:2])
    points, ends = (np.rint(p.clip(-limit, limit)).astype(np.int32) for p in (corners, way))
    own = colour(box.track_id)
    thick = max(1, canvas.shape[0] // 400)
    if box.points or box.covariance is None:
        cv2.fillConvexPoly(canvas, points, own, cv2.LINE_AA)
    cv2.polylines(canvas, [points], True, own, thick, cv2.LINE_AA)  # predicted ones are hollow
    if box.directed:
        cv2.line(canvas, points[0].tolist(), points[3].tolist(), INK, 2 * thick, cv2.LINE_AA)
        cv2.arrowedLine(canvas, ends[0].tolist(), ends[1].tolist(), INK, thick, cv2.LINE_AA, tipLength=0.2)
    scale = max(0.3, canvas.shape[0] / 1400)
    write(canvas, str(box.track_id), (int(points[:, 0].max()) + 2, int(ends[0][1])), scale, INK)


def _grid(canvas: RgbImage, scale: float) -> None:
    height, width = canvas.shape[:2]
    for ahead in np.arange(0.0, AHEAD, GRID):
        row = round((AHEAD - ahead) * scale)
        cv2.line(canvas, (0, row), (width, row), LINE, 1)
        write(canvas, f"{ahead:.0f} m", (2, row - 3), max(0.3, height / 1600), LINE)
    for left in np.arange(-2 * GRID, 2 * GRID + 1, GRID):
        column = round((ASIDE - left) * scale)
        cv2.line(canvas, (column, 0), (column, height), LINE, 1)
