"""Boxes on the ground around the visible side of an object.

Only the sides that face the sensor are measured. What they do not show of a typical size of the class lies
behind them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pcan_model.core.space import Floats, Pose
from pcan_model.lifting.config import ClassShape

TAIL = 0.05  # share of the points beyond each side
DEVIATIONS = 1.0  # of the noise that such points lie too far out; more if all were on the side
WHOLE = 0.8  # share of the expected size from which on a side is seen whole
ANGLES = np.deg2rad(np.arange(0.0, 90.0, 3.0))  # tried if the heading is unknown
FLAT = 0.08  # noise, in typical lengths, above which no side can be told
LEAST_WIDE = 0.6  # a side shorter than this, in typical widths, tells no direction
LEAST_LONG = (
    1.35  # a side longer than this, in typical widths, is the length; of a shorter one, the nearer axis
)
SIDEWAYS = 0.5  # share of an axis along the image from which on its borders cut it
SHORTEST_TALL = 0.7  # share of the typical height below which the lower part counts as hidden
CLOSE = 0.1  # metres from a side, within which all points are equally good


@dataclass(frozen=True, slots=True, eq=False)
class GroundBox:
    """A measured box in the fixed frame."""

    centre: Floats  # (3,)
    size: Floats  # (3,) length, width, height
    yaw: float  # of the length
    seen: Floats  # (3,) metres of the length, width and height that were measured


def fit_box(
    points: Floats,
    sensor: Pose,
    noise: float,
    shape: ClassShape,
    *,
    yaw: float | None = None,
    known: Floats | None = None,
    cut: tuple[bool, bool] = (False, False),
) -> GroundBox:
    """Return the box of an object.

    points  (N, 3)  visible points, fixed frame with z up; N > 0
    sensor  optical frame in the fixed frame
    noise   standard deviation of a point along the line of sight, metres
    yaw     heading; None: as the visible sides tell, up to half a turn
    known   (3,)    least size from earlier frames, if any
    cut     whether the left and the right border of the image cut the object
    """
    flat, place = points[:, :2], sensor.translation[:2]
    if yaw is None:
        yaw = _angle(flat, math.atan2(sensor.rotation[1, 2], sensor.rotation[0, 2]), noise, shape)
    axes = np.array([(math.cos(yaw), math.sin(yaw)), (-math.sin(yaw), math.cos(yaw))])
    ray = flat.mean(0) - place
    ray = ray / max(float(np.linalg.norm(ray)), 1e-9)
    low, high = _sides(flat @ axes.T, noise * np.abs(axes @ ray))
    seen = high - low
    typical = np.maximum(shape.size[:2], 0.0 if known is None else known[:2])
    size = np.maximum(seen, typical)
    size = np.minimum(size, np.maximum((shape.longest, 1.3 * shape.size[1]), typical))
    left = -sensor.rotation[:2, 0]
    hidden = _open_ends(axes @ left, cut)
    middle = [_middle(*side) for side in zip(low, high, size, axes @ place, hidden, strict=True)]
    bottom, top = np.quantile(points[:, 2], (0.02, 0.98))
    tall = float(top - bottom)
    if tall < SHORTEST_TALL * shape.size[2]:
        tall = shape.size[2]
    centre = np.array([*(np.array(middle) @ axes), top - tall / 2])
    return GroundBox(centre, np.array([*size, tall]), yaw, np.array([*seen, top - bottom]))


def _sides(along: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """Return the lowest and the highest coordinate along each axis, (2,), of points (N, 2) without noise."""
    low, high = np.quantile(along, (TAIL, 1 - TAIL), axis=0)
    shrink = np.minimum(DEVIATIONS * noise, (high - low) / 2)
    return low + shrink, high - shrink


def _open_ends(left: Floats, cut: tuple[bool, bool]) -> list[int]:
    """Return which end of each axis the image cuts off: -1 the low one, 1 the high one, 0 none or both.

    left  (2,)  the image's left along each axis
    """
    if cut[0] == cut[1]:
        return [0, 0]
    towards = left if cut[0] else -left
    return [int(math.copysign(1, along)) if abs(along) > SIDEWAYS else 0 for along in towards]


def _middle(low: float, high: float, size: float, sensor: float, cut: int) -> float:
    """Return the middle of a box along one axis: behind the near side, unless it is seen whole."""
    if cut:
        return low + size / 2 if cut > 0 else high - size / 2
    if high - low >= WHOLE * size or low <= sensor <= high:
        return (low + high) / 2
    return low + size / 2 if sensor < low else high - size / 2


def _angle(flat: Floats, forward: float, noise: float, shape: ClassShape) -> float:
    """Return the direction of the length: that of a side seen well, else that of the sensor.

    forward  direction of the sensor
    """
    length, width = shape.size[:2]
    if length < 1.5 * width or len(flat) < 8 or noise > FLAT * length:
        return forward
    kept = flat[:: max(1, len(flat) // 200)]
    first = kept @ np.stack([np.cos(ANGLES), np.sin(ANGLES)])  # (N, A)
    second = kept @ np.stack([-np.sin(ANGLES), np.cos(ANGLES)])
    gap = np.maximum(np.minimum(_gaps(first), _gaps(second)), max(CLOSE, noise))
    angle = float(ANGLES[np.log(gap).sum(0).argmin()])
    turned = flat @ np.array([(math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle))])
    low, high = _sides(turned, np.full(2, noise))
    longer = int(np.argmax(high - low))
    side = (high - low)[longer]
    if side < LEAST_WIDE * width:
        return forward
    along = angle + longer * math.pi / 2
    if side <= LEAST_LONG * width and abs(math.cos(along - forward)) < math.sqrt(0.5):
        along += math.pi / 2
    return along if math.cos(along - forward) >= 0 else along + math.pi


def _gaps(along: Floats) -> Floats:
    """Return how far each point is from the nearer end, (N, A)."""
    low, high = np.quantile(along, (0.02, 0.98), axis=0)
    return np.minimum(np.abs(along - low), np.abs(high - along))
