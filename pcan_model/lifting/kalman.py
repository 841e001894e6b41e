"""Constant-velocity Kalman filter of a place on the ground, in a fixed frame.

The acceleration is white noise in continuous time, so that the prediction does not depend on the frame rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcan_model.core.space import Floats

GATE = 9.2  # squared Mahalanobis distance, 2 degrees of freedom: 99 % of the true ones are nearer
PLACE = np.eye(2, 4)  # the measured part of the state


@dataclass(frozen=True, slots=True, eq=False)
class GroundMotion:
    """Place and velocity at one time."""

    mean: Floats  # (4,) x, y (metres) and their velocities (metres per second)
    covariance: Floats  # (4, 4)

    @property
    def speed(self) -> float:
        """Return the speed in metres per second."""
        return float(np.hypot(*self.mean[2:]))

    @property
    def speed_noise(self) -> float:
        """Return the standard deviation of the velocity along its direction."""
        along = self.mean[2:] / max(self.speed, 1e-9)
        return float(np.sqrt(along @ self.covariance[2:, 2:] @ along))


def begin(place: Floats, noise: Floats, speed: float) -> GroundMotion:
    """Return the motion of an object that was measured once.

    place  (2,)
    noise  (2, 2)  covariance of the measurement
    speed  standard deviation of each velocity, metres per second
    """
    covariance = np.diag([0.0, 0.0, speed**2, speed**2])
    covariance[:2, :2] = noise
    return GroundMotion(np.array([*place, 0.0, 0.0]), covariance)


def predict(motion: GroundMotion, elapsed: float, acceleration: float) -> GroundMotion:
    """Return the motion `elapsed` seconds later; acceleration is its standard deviation."""
    step = np.eye(4)
    step[0, 2] = step[1, 3] = elapsed
    drift = np.kron([[elapsed**3 / 3, elapsed**2 / 2], [elapsed**2 / 2, elapsed]], np.eye(2))
    covariance = step @ motion.covariance @ step.T + acceleration**2 * drift
    return GroundMotion(step @ motion.mean, covariance)


def distance(motion: GroundMotion, place: Floats, noise: Floats) -> float:
    """Return the squared Mahalanobis distance of a measured place, (2,) of covariance (2, 2)."""
    apart = place - motion.mean[:2]
    return float(apart @ np.linalg.solve(motion.covariance[:2, :2] + noise, apart))


def correct(motion: GroundMotion, place: Floats, noise: Floats) -> GroundMotion:
    """Return the motion updated with a measured place, (2,), of covariance (2, 2).

    A measurement beyond the gate counts for less, so that one wrong depth moves nothing far.
    """
    beyond = max(distance(motion, place, noise) / GATE, 1.0)
    total = motion.covariance[:2, :2] + noise * (4 * beyond - 3)
    gain = np.linalg.solve(total, motion.covariance[:2]).T
    covariance = motion.covariance - gain @ total @ gain.T
    mean = motion.mean + gain @ (place - motion.mean[:2])
    return GroundMotion(mean, (covariance + covariance.T) / 2)
