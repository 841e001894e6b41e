"""Motion of boxes: a constant-velocity Kalman filter for centre and size, in seconds.

The four numbers of a box are filtered separately, which is equivalent to a joint filter with diagonal noise.
The acceleration is white noise in continuous time, so that the prediction does not depend on the frame rate.
Noise is in box sides (the square root of the area), so that near and far objects are treated alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.structures import Motion
from pcan_model.tracking.camera_motion import CameraSource, Carry

PIXEL = 1.0  # px, noise of a detection that is independent of its size
MEASURED = np.array([0.1, 0.1, 0.2, 0.2])  # noise of a detection, box sides; centre x, y, width, height
START = np.array([1.5, 0.75, 0.6, 0.6])  # standard deviation of the initial velocity, box sides per second
DRIFT = np.array([1.0, 0.5, 0.5, 0.5])  # change of the velocity within one second, box sides per second


def begin(box: NDArray[np.float32], stamp: float) -> Motion:
    """Return the initial motion of a box, (4,)."""
    numbers = _numbers(box[None])[0]
    spread = np.stack([_noise(numbers), START * _side(numbers)], 1)
    covariance = np.zeros((4, 2, 2))
    covariance[:, [0, 1], [0, 1]] = spread**2
    return Motion(np.stack([numbers, np.zeros(4)], 1), covariance, stamp)


def predict(motion: Motion, stamp: float, camera: CameraSource | None = None) -> Motion:
    """Return the motion predicted to `stamp`; an earlier stamp counts as no time passed.

    camera  motion of the camera since then; None: not estimated
    """
    elapsed = max(0.0, stamp - motion.stamp)
    if not elapsed and camera is None:  # several parts of a step ask for the same time
        return motion if stamp == motion.stamp else Motion(motion.mean, motion.covariance, stamp)
    step = np.array([[1.0, elapsed], [0.0, 1.0]])
    drift = np.array([[elapsed**3 / 3, elapsed**2 / 2], [elapsed**2 / 2, elapsed]])
    noise = (DRIFT * _side(motion.mean[:, 0])) ** 2
    covariance = step @ motion.covariance @ step.T + noise[:, None, None] * drift
    moved = Motion(motion.mean @ step.T, covariance, stamp)
    if camera is None:
        return moved
    return _carried(moved, camera.carry(moved.mean[:, 0], elapsed))


def _carried(motion: Motion, carry: Carry) -> Motion:
    """Apply the motion of the camera; what is unknown of it adds to the variance of the centre."""
    mean, covariance = motion.mean.copy(), motion.covariance.copy()
    turn, shift = carry.matrix[:, :2], carry.matrix[:, 2]
    scale = float(np.sqrt(abs(np.linalg.det(turn))))
    mean[:2] = turn @ mean[:2]
    mean[:2, 0] += shift
    mean[2:] *= scale
    covariance = covariance * scale**2
    covariance[:2, 0, 0] += carry.spread**2
    return Motion(mean, covariance, motion.stamp)


def correct(motion: Motion, box: NDArray[np.float32]) -> Motion:
    """Return the motion updated with a detection, (4,), at its stamp."""
    numbers = _numbers(box[None])[0]
    total = motion.covariance[:, 0, 0] + _noise(motion.mean[:, 0]) ** 2
    gain = motion.covariance[:, :, 0] / total[:, None]
    mean = motion.mean + gain * (numbers - motion.mean[:, 0])[:, None]
    covariance = motion.covariance - gain[:, :, None] * motion.covariance[:, None, 0, :]
    return Motion(mean, covariance, motion.stamp)


def distances(boxes: NDArray[np.float32], motions: Sequence[Motion]) -> NDArray[np.float64]:
    """Return squared Mahalanobis distances of detections from predictions, (N, K); 4 degrees of freedom.

    boxes  (N, 4)
    """
    means = np.array([motion.mean[:, 0] for motion in motions]).reshape(-1, 4)
    spread = np.array([m.covariance[:, 0, 0] + _noise(m.mean[:, 0]) ** 2 for m in motions]).reshape(-1, 4)
    apart = _numbers(boxes)[:, None] - means
    return cast(NDArray[np.float64], (apart**2 / spread).sum(-1))


def box_of(motion: Motion) -> NDArray[np.float32]:
    """Return the box at its centre, (4,) x1 y1 x2 y2."""
    centre, half = motion.mean[:2, 0], np.maximum(motion.mean[2:, 0], PIXEL) / 2
    return np.concatenate([centre - half, centre + half]).astype(np.float32)


def _numbers(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return centre x, y, width and height of boxes (N, 4)."""
    corners = boxes.astype(np.float64).reshape(-1, 2, 2)
    return np.concatenate([corners.mean(1), corners[:, 1] - corners[:, 0]], 1)


def _side(numbers: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.maximum(numbers[2:], PIXEL).prod()))


def _noise(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation of a detection's four numbers, pixels."""
    return PIXEL + MEASURED * _side(numbers)
