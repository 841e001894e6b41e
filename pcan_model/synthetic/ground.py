"""The road of the synthetic drive, painted once from above."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.synthetic.canvas import (
    Floats,
)

GROUND_X = 26.0  # metres to either side that the ground image shows
ACROSS, ALONG = 16, 8  # ground image, pixels per metre across and along the road


@dataclass(frozen=True, slots=True)
class Street:
    """The cross section of the road; the camera drives near x = 0."""

    left: float  # metres, x of the left kerb
    right: float  # metres, x of the right kerb
    lanes: tuple[float, ...]  # x of the lane borders
    walk: float  # metres, width of the pavements
    length: float  # metres that the ground image shows
    highway: bool
    rails: float | None  # x of tram rails


def make_ground(street: Street, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw the ground from above, (length * ALONG, 2 * GROUND_X * ACROSS, 3); row 0 is z = 0."""
    size = (int(street.length * ALONG), int(2 * GROUND_X * ACROSS))
    ground = np.empty((*size, 3), np.float32)
    outside = (96, 112, 62) if street.highway or rng.random() < 0.3 else (150, 146, 138)
    ground[:] = np.array(outside) * rng.uniform(0.75, 1.1) + rng.normal(0, 8, 3)
    asphalt = np.full(3, rng.uniform(62, 130)) + rng.normal(0, 4, 3)
    walk = np.full(3, rng.uniform(120, 185)) + rng.normal(0, 6, 3)
    _band(ground, street.left - street.walk, street.right + street.walk, walk)
    for row in range(0, size[0], int(ALONG * rng.uniform(0.8, 2.2))):
        ground[row] *= 0.9  # joints of the slabs, hidden below the asphalt
    _band(ground, street.left, street.right, asphalt)
    for x in (street.left, street.right):
        _band(ground, x - 0.12, x + 0.12, walk * 1.12)
    _wear(ground, street, rng)
    _mark(ground, street, rng)
    ground *= 1 + _stains(size, rng)[..., None]
    return ground.clip(0, 255).astype(np.uint8)


def _columns(low: float, high: float) -> slice:
    return slice(max(0, int((low + GROUND_X) * ACROSS)), max(0, math.ceil((high + GROUND_X) * ACROSS)))


def _band(ground: NDArray[np.float32], low: float, high: float, colour: Floats) -> None:
    ground[:, _columns(low, high)] = colour


def _stains(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    total = np.zeros(size, np.float32)
    for step, part in ((120, 0.08), (24, 0.05), (4, 0.05), (1, 0.04)):
        cells = (size[0] // step + 2, size[1] // step + 2)
        noise = rng.standard_normal(cells, np.float32) * np.float32(part)
        total += cv2.resize(noise, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return total


def _wear(ground: NDArray[np.float32], street: Street, rng: np.random.Generator) -> None:
    """Patches, cracks, manholes and the darker tracks of wheels."""
    road = _columns(street.left, street.right)
    for _ in range(rng.integers(0, 14)):
        x, z = rng.integers(road.start, road.stop), rng.integers(len(ground))
        w, h = rng.integers(8, 60), rng.integers(8, 100)
        ground[z : z + h, x : min(x + w, road.stop)] *= rng.uniform(0.72, 1.2)
    for _ in range(rng.integers(0, 10)):
        start = np.array([rng.integers(road.start, road.stop), rng.integers(len(ground))])
        steps = np.cumsum(rng.normal(0, 10, (12, 2)) + rng.normal(0, 8, 2), 0)
        cv2.polylines(ground, [(start + steps).astype(np.int32)], False, (45, 45, 46), 1)
    for _ in range(rng.integers(1, 9)):
        at = (int(rng.integers(road.start, road.stop)), int(rng.integers(len(ground))))
        cv2.ellipse(ground, at, (6, 3), 0, 0, 360, (60, 58, 58), -1)
    for a, b in zip(street.lanes, street.lanes[1:], strict=False):
        for x in (a + (b - a) * 0.25, a + (b - a) * 0.75):
            ground[:, _columns(x - 0.3, x + 0.3)] *= 0.94


def _mark(ground: NDArray[np.float32], street: Street, rng: np.random.Generator) -> None:
    """Lane lines, crossings, stop lines and rails."""
    white = np.full(3, rng.uniform(170, 240))
    yellow = np.array([225, 178, 60]) * rng.uniform(0.8, 1.05)
    dash, gap = rng.uniform(2, 4), rng.uniform(3, 8)
    for k, x in enumerate(street.lanes):
        edge = k in (0, len(street.lanes) - 1)
        if edge and rng.random() < 0.5:
            continue
        colour = yellow if x == street.lanes[len(street.lanes) // 2] and rng.random() < 0.5 else white
        solid = edge or (colour is yellow)
        for z in np.arange(0, street.length, street.length if solid else dash + gap):
            rows = slice(int(z * ALONG), int((z + (street.length if solid else dash)) * ALONG))
            ground[rows, _columns(x - 0.07, x + 0.07)] = colour
    if street.rails is not None:
        for x in (-0.72, 0.72):
            _band(ground, street.rails + x - 0.05, street.rails + x + 0.05, np.array([70, 66, 66]))
    for z in np.arange(rng.uniform(10, 40), street.length, rng.uniform(30, 70)):
        if not street.highway:
            for x in np.arange(street.left + 0.4, street.right - 0.4, 1.0):
                ground[int(z * ALONG) : int((z + 3) * ALONG), _columns(x, x + 0.5)] = white
            ground[int((z - 1.6) * ALONG) : int((z - 1.2) * ALONG), _columns(0, street.right)] = white
