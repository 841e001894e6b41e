"""Scenes of one object that are known exactly: a wall of points, and a mask over it."""

from __future__ import annotations

from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.config import CLASSES
from pcan_model.core.space import OPTICAL, Floats, Pinhole, Pose
from pcan_model.core.structures import Mask, TrackedInstance, Tracks, TrackState

CAMERA = Pinhole(300.0, 300.0, 160.0, 60.0, 120, 320)
MOUNTED = Pose(OPTICAL, np.array([0.0, 0.0, 1.5]))  # 1.5 m over the ground, looking along x
CAR = CLASSES.index("car")
PEDESTRIAN = CLASSES.index("pedestrian")


def tracks(*masks: Mask, stamp: float = 1.0, label: int = CAR, first: int = 1) -> Tracks:
    """Return tracks with these masks; ids from `first`."""
    found = [
        TrackedInstance(
            track_id=first + number,
            uuid=UUID(int=first + number),
            state=TrackState.TRACKED,
            age=5,
            time_since_update=0,
            label=label,
            score=0.9,
            box=np.array([mask.x, mask.y, mask.x + 1, mask.y + 1], np.float32),
            velocity=np.zeros(2, np.float32),
            mask=mask,
        )
        for number, mask in enumerate(masks)
    ]
    return Tracks(stamp, CAMERA.height, CAMERA.width, 0, tuple(found))


def rear_of_car(distance: float, left: float = 0.0, wide: float = 2.0) -> tuple[Mask, NDArray[np.float32]]:
    """Return mask and depth image of the flat rear of a car on the ground, before the ground and a far wall.

    distance  of its rear from the camera, metres
    left      of its middle, metres
    """
    depth = np.full((CAMERA.height, CAMERA.width), 60.0, np.float32)
    rows = np.arange(CAMERA.height)
    below = rows > CAMERA.cy
    ground = CAMERA.fy * 1.5 / np.maximum(rows - CAMERA.cy, 1e-6)
    depth[below] = np.minimum(ground[below], 60.0)[:, None]
    corners = np.array([(-left - wide / 2, 0.0, distance), (-left + wide / 2, 1.5, distance)])
    (x1, y1), (x2, y2) = np.rint(CAMERA.project(corners)).astype(int)
    depth[y1:y2, x1:x2] = distance
    return Mask(int(x1), int(y1), np.ones((y2 - y1, x2 - x1), np.uint8)), depth


def points_of(depth: NDArray[np.float32]) -> Floats:
    """Return all pixels of a depth image as points of the optical frame."""
    rows, columns = np.divmod(np.arange(depth.size), depth.shape[1])
    return CAMERA.points(columns, rows, depth.ravel())
