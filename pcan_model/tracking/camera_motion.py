"""Camera motion between two images: sparse optical flow of corners, and a robust fit.

Only corners outside the tracked boxes are used. The fit is a similarity transform (shift, rotation, scale)
by RANSAC; if too few corners agree, the motion of the camera is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.geometry import Letterbox
from pcan_model.core.structures import Frame

WIDTH = 320  # px, of the image for optical flow
CORNERS, QUALITY, APART = (
    200,
    0.01,
    7,
)  # largest number; least strength relative to the strongest; least distance, px
WINDOW, LEVELS = (15, 15), 4  # of the flow
AGREE = 2.0  # px; corners closer to the fit agree with it
LEAST, SHARE = 12, 0.4  # least number and share of corners that agree
SHAKE = 0.2  # image widths per second, motion of a camera if it is unknown


@dataclass(frozen=True, slots=True, eq=False)
class Carry:
    """How the motion of the camera moves one box, network pixels."""

    matrix: NDArray[np.float64]  # (2, 3) affine transform of points
    spread: NDArray[np.float64]  # (2,) standard deviation that it adds to the centre


class CameraSource(Protocol):
    """What knows the motion of the camera since the last frame."""

    def carry(self, numbers: NDArray[np.float64], elapsed: float) -> Carry:
        """Return how a box moves; `numbers` are its centre x, y, width and height, network pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class CameraMotion:
    """Transform of points from the previous image to this one, network pixels."""

    matrix: NDArray[np.float64] | None  # (2, 3) affine; None: unknown
    width: float  # of the image, network pixels

    def carry(self, numbers: NDArray[np.float64], elapsed: float) -> Carry:
        """Return how a box moves: as the image does; if that is unknown, it may be anywhere around."""
        if self.matrix is None:
            return Carry(np.eye(2, 3), np.full(2, SHAKE * self.width * elapsed))
        return Carry(self.matrix, np.zeros(2))


def small_view(frame: Frame) -> NDArray[np.uint8]:
    """Return a small grey image, (h, WIDTH)."""
    height, width = frame.image.shape[:2]
    size = WIDTH, max(1, round(height * WIDTH / width))
    small: Any = frame.image
    while small.shape[1] >= 2 * WIDTH and not (small.shape[0] % 2 or small.shape[1] % 2):
        half = small.shape[1] // 2, small.shape[0] // 2
        small = cv2.resize(small, half, interpolation=cv2.INTER_AREA)  # twice as fast as one step
    small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY if frame.order == "rgb" else cv2.COLOR_BGR2GRAY)
    return cast(NDArray[np.uint8], grey)


def camera_motion(
    before: NDArray[np.uint8] | None,
    now: NDArray[np.uint8],
    boxes: NDArray[np.float32],
    letterbox: Letterbox,
) -> CameraMotion:
    """Return the motion of the camera.

    before, now  (h, WIDTH) small views; the motion is unknown if the shapes differ or `before` is None
    boxes        (K, 4) of tracks in the previous image, network pixels
    """
    width = float(letterbox.size[1])
    if before is None or before.shape != now.shape:
        return CameraMotion(None, width)
    matrix = _fit(*_followed(before, now, boxes * (WIDTH / width)))
    if matrix is not None:
        matrix[:, 2] *= width / WIDTH
    return CameraMotion(matrix, width)


def _followed(
    before: NDArray[np.uint8], now: NDArray[np.uint8], boxes: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return corners outside of the boxes in both images, (P, 2) each."""
    free = np.full(before.shape, 255, np.uint8)
    for x1, y1, x2, y2 in np.clip(boxes, 0, WIDTH).astype(int).tolist():
        free[y1 : y2 + 1, x1 : x2 + 1] = 0
    corners: Any = cv2.goodFeaturesToTrack(before, CORNERS, QUALITY, APART, mask=free)
    if corners is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)
    flow: Any = cv2.calcOpticalFlowPyrLK(
        before, now, corners, cast(Any, None), winSize=WINDOW, maxLevel=LEVELS
    )
    moved, status, _ = flow
    kept = status.ravel() > 0
    return corners.reshape(-1, 2)[kept], moved.reshape(-1, 2)[kept]


def _fit(before: NDArray[np.float32], now: NDArray[np.float32]) -> NDArray[np.float64] | None:
    if len(before) < LEAST:
        return None
    matrix, agree = cv2.estimateAffinePartial2D(before, now, ransacReprojThreshold=AGREE)
    if matrix is None or agree.sum() < max(LEAST, SHARE * len(before)):
        return None
    return cast(NDArray[np.float64], matrix)
