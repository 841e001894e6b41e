"""The path of the camera through the synthetic drive."""

from __future__ import annotations

import math

import numpy as np

from pcan_model.synthetic.photo import Drive

PERIOD = 30.0  # frames of RATE (6 s) in which a swinging camera turns left, right and back
STEP = 0.1  # frames of RATE, of the integration of a swinging path


def camera_path(drive: Drive, moment: float, length: float, swing: float = 0.0) -> tuple[float, float, float]:
    """Return x, z (metres) and yaw (radians, to the right) of the camera.

    moment  time in frames of RATE
    length  of the drive, in frames of RATE
    swing   greatest yaw rate of a camera that turns left and right, radians per frame of RATE; 0: it turns
            evenly, as the drive says
    """
    if not swing:
        yaw = drive.turn * (moment - length / 2)
        return math.sin(yaw) * drive.speed * moment * 0.5, drive.speed * moment, yaw
    times = np.linspace(0.0, moment, max(2, math.ceil(moment / STEP) + 1))
    yaws = swing * PERIOD / (2 * math.pi) * np.sin(2 * math.pi * times / PERIOD)
    x, z = (drive.speed * _integral(f(yaws), times) for f in (np.sin, np.cos))
    return x, z, float(yaws[-1])


def _integral(values: np.ndarray, times: np.ndarray) -> float:
    return float(((values[1:] + values[:-1]) / 2 * np.diff(times)).sum())
