"""Houses, walls and hedges along the street."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcan_model.synthetic.canvas import (
    NEAR,
    Canvas,
    Colour,
    Floats,
    make_patch,
)
from pcan_model.synthetic.ground import Street

FIRST_HOUSE = 200  # ids that houses use while they are painted


@dataclass(frozen=True, slots=True, eq=False)
class House:
    """A house along the street; also walls and hedges, which have no windows."""

    x: float  # metres, plane of the facade (its sign tells the side)
    z: tuple[float, float]  # metres
    high: float  # metres
    colour: Colour
    trim: Colour
    glass: Colour
    windows: Floats  # (K, 4, 3) world coordinates
    lit: NDArray[np.bool_]  # (K,) a lamp burns behind it
    patch: NDArray[np.uint8]


FACADES: tuple[Colour, ...] = (
    (168, 120, 96), (140, 84, 66), (190, 176, 150), (206, 200, 188), (150, 150, 152), (112, 112, 118),
    (210, 190, 140), (176, 150, 130), (98, 84, 76), (220, 214, 208), (130, 140, 148),
)  # fmt: skip


def make_houses(street: Street, rng: np.random.Generator) -> tuple[House, ...]:
    """Line both sides with houses, or a highway with walls and hedges."""
    houses = []
    for side, kerb in ((-1, street.left - street.walk), (1, street.right + street.walk)):
        z, back = -10.0, rng.uniform(0.2, 4)
        while z < street.length + 40:
            long = rng.uniform(6, 22)
            if rng.random() < (0.75 if street.highway else 0.9):
                low = street.highway or rng.random() < 0.12
                high = rng.uniform(0.8, 2.6) if low else rng.uniform(4, 22)
                x = kerb + side * (back + rng.uniform(0, 0.6))
                houses.append(_make_house(x, (z, z + long), high, rng, plain=low))
            z += long + (rng.uniform(0, 6) if rng.random() < 0.3 else 0.05)
    return tuple(houses)


def _make_house(
    x: float, z: tuple[float, float], high: float, rng: np.random.Generator, *, plain: bool
) -> House:
    colour = FACADES[rng.integers(len(FACADES))]
    if plain and rng.random() < 0.6:
        colour = (70, 96, 50)
    windows = np.zeros((0, 4, 3)) if plain else _windows(x, z, high, rng)
    tone = rng.uniform(0.5, 1.35)
    return House(
        x=x, z=z, high=high, colour=colour,
        trim=tuple((np.array(colour) * tone).clip(0, 245).tolist()),
        glass=tuple(rng.uniform(20, 110) * np.array([0.9, 1, 1.12])),
        windows=windows, lit=rng.random(len(windows)) < 0.3,
        patch=make_patch(rng, rough=0.12 if not plain else 0.3, shade=0.08),
    )  # fmt: skip


def _windows(x: float, z: tuple[float, float], high: float, rng: np.random.Generator) -> Floats:
    """Corners of the windows of a facade: shops on the ground, rows above; (K, 4, 3)."""
    floor, step = rng.uniform(2.8, 3.6), rng.uniform(1.6, 3.2)
    w, h = step * rng.uniform(0.4, 0.75), floor * rng.uniform(0.45, 0.7)
    rows = [(1.0 + k * floor, h, step, w) for k in range(1, int(high / floor))]
    rows.append((0.4, floor * 0.75, step * 2, step * rng.uniform(1.2, 1.8)))
    quads = []
    for y, tall, pitch, wide in rows:
        for a in np.arange(z[0] + 0.5, z[1] - wide - 0.3, pitch):
            quads.append([(x, y, a), (x, y, a + wide), (x, y + tall, a + wide), (x, y + tall, a)])
    return np.array(quads).reshape(-1, 4, 3)


def paint_house(canvas: Canvas, house: House, number: int) -> None:
    """Paint a house with a temporary canvas id."""
    camera, light = canvas.camera, canvas.light
    x, (z1, z2), h = house.x, house.z, house.high
    deep = x + math.copysign(9, x)
    depth = max(2.0, (z1 + z2) / 2 - camera.z)
    canvas.begin()
    end = np.array([(x, 0, z1), (deep, 0, z1), (deep, h, z1), (x, h, z1)])
    front = np.array([(x, 0, z1), (x, 0, z2), (x, h, z2), (x, h, z1)])
    facing = 1.0 if light.sun[0] * x < 0 else 0.75
    canvas.polygon(camera.view(end), light.tint(house.colour, depth, 0.7 * _lit(light.ambient)), number)
    canvas.polygon(camera.view(front), light.tint(house.colour, depth, facing * _lit(light.ambient)), number)
    band = front.copy()
    band[:2, 1] = h - 0.5
    canvas.polygon(camera.view(band), light.tint(house.trim, depth, facing * _lit(light.ambient)), number)
    canvas.texture(number, house.patch)
    _paint_windows(canvas, house, number, depth)


def _lit(ambient: float) -> float:
    return 0.55 + 0.45 * ambient


def _paint_windows(canvas: Canvas, house: House, number: int, depth: float) -> None:
    if not len(house.windows):
        return
    view = canvas.camera.view(house.windows.reshape(-1, 3))
    near = view[:, 2].reshape(-1, 4).min(1)
    view[:, 2] = view[:, 2].clip(NEAR, None)
    corners = canvas.camera.pixels(view).reshape(-1, 4, 2)
    wide = np.abs(corners[:, 1, 0] - corners[:, 0, 0])
    glass = canvas.light.tint(house.glass, depth)
    lamp: Colour = (250, 214, 140) if canvas.light.night else glass
    for k in np.flatnonzero((near > NEAR) & (wide >= 2)):
        canvas.fill(corners[k], lamp if house.lit[k] else glass, number)
