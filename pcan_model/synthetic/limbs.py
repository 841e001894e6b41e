"""Round limbs, of which people and what they ride are made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pcan_model.synthetic.canvas import (
    Canvas,
    Colour,
    Point,
)
from pcan_model.synthetic.mesh import (
    Pose,
)

SMALL = 40  # canvas pixels per metre below which edges and spokes are left out


@dataclass(frozen=True, slots=True)
class Limb:
    """A round piece of a body."""

    a: Point  # metres, body coordinates: right, up, forward
    b: Point
    wide: tuple[float, float]  # metres, diameter at a and b
    colour: Colour
    light: bool = True  # gets a lit edge


def random_cloth(rng: np.random.Generator) -> Colour:
    """Clothes are mostly dark or dull, sometimes bright."""
    if rng.random() < 0.25:
        r, g, b = rng.uniform(30, 250, 3).tolist()
    else:
        v = rng.uniform(20, 200) if rng.random() < 0.6 else rng.uniform(15, 70)
        r, g, b = (v * (1 + rng.normal(0, 0.18, 3))).clip(8, 250).tolist()
    return r, g, b


def paint_limbs(canvas: Canvas, pose: Pose, limbs: Sequence[Limb], number: int) -> None:
    """Paint limbs, the farthest first, each with an edge lit from the sun's side."""
    cos, sin = math.cos(pose.heading), math.sin(pose.heading)
    camera = canvas.camera

    def world(p: Point) -> Point:
        return pose.x + cos * p[0] + sin * p[2], p[1], pose.z - sin * p[0] + cos * p[2]

    placed = [(world(limb.a), world(limb.b), limb) for limb in limbs]
    ahead = (math.sin(camera.yaw), math.cos(camera.yaw))
    placed.sort(key=lambda e: -((e[0][0] + e[1][0]) * ahead[0] + (e[0][2] + e[1][2]) * ahead[1]))
    shift = 0.2 if canvas.light.sun[0] > 0 else -0.2
    near = math.hypot(pose.x - camera.x, pose.z - camera.z) < camera.focal / SMALL
    shade = canvas.light.ambient + 0.45 * (1 - canvas.light.ambient)
    for a, b, limb in placed:
        dark: Colour = (limb.colour[0] * shade, limb.colour[1] * shade, limb.colour[2] * shade)
        canvas.limb(a, b, limb.wide, dark, number)
        if near and limb.light and limb.wide[0] > 0.07:
            dx, thin = shift * limb.wide[0], (limb.wide[0] * 0.5, limb.wide[1] * 0.5)
            lit: Colour = tuple(min(255.0, c * 1.28 + 6) for c in dark)  # type: ignore[assignment]
            canvas.limb((a[0] + dx, a[1], a[2]), (b[0] + dx, b[1], b[2]), thin, lit, number)
