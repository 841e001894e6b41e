"""A camera that turns to and fro before a standing square, which jumps through the image."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from support.squares import HEIGHT, WIDTH, pixels

from pcan_model.core.space import OPTICAL, Pinhole, Pose

CAMERA = Pinhole(96.0, 96.0, 48.0, 20.0, HEIGHT, WIDTH)
MOUNTED = Pose(OPTICAL, np.array([0.0, 0.0, 1.5]))  # of the camera over base_link
TRACKING = {"motion": "kalman", "gate": 13.3}  # settings with which a jump begins a new track
STAMPS = (1.0, 1.1, 1.2, 1.3)
DEPTH = np.full((HEIGHT, WIDTH), 8.0, np.float32)  # metres
TURN = 0.3  # radians, to the left


def base(index: int) -> Pose:
    """Return the pose of base_link in odom."""
    return Pose.planar(0.0, 0.0, TURN * (index % 2))


def view(index: int) -> NDArray[np.uint8]:
    """Return the image, RGB: a car ahead of the camera's first pose."""
    column = CAMERA.cx + CAMERA.fx * math.tan(base(index).yaw)
    return pixels({2: (round(column) - 8, 24)})
