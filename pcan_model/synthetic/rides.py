"""Bicycles, motorcycles and scooters of the synthetic drive."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pcan_model.synthetic.canvas import (
    Canvas,
    Colour,
    Point,
)
from pcan_model.synthetic.limbs import SMALL, Limb, paint_limbs, random_cloth
from pcan_model.synthetic.mesh import (
    Pose,
)

RUBBER: Colour = (26, 26, 28)
STEEL: Colour = (140, 142, 146)
RING_CORNERS = 20


@dataclass(frozen=True, slots=True)
class Ride:
    """Appearance of a bicycle or motorcycle."""

    motor: bool
    scooter: bool
    colour: Colour
    radius: float  # metres, of the wheels
    base: float  # metres between the axles
    seat: float  # metres over the ground
    grip: float  # metres over the ground
    upright: bool  # bars nearer to the rider
    basket: bool


def make_ride(rng: np.random.Generator, *, motor: bool) -> Ride:
    """Draw a bicycle, motorcycle or scooter."""
    scooter = motor and bool(rng.random() < 0.35)
    return Ride(
        motor=motor,
        scooter=scooter,
        colour=random_cloth(rng) if rng.random() < 0.5 else tuple(rng.uniform(40, 240, 3).tolist()),
        radius=float(rng.uniform(0.22, 0.25) if scooter else rng.uniform(0.3, 0.35)),
        base=float(rng.uniform(1.25, 1.5) if motor else rng.uniform(0.98, 1.12)),
        seat=float(rng.uniform(0.75, 0.85) if motor else rng.uniform(0.85, 1.0)),
        grip=float(rng.uniform(0.95, 1.1) if motor else rng.uniform(0.9, 1.08)),
        upright=bool(rng.random() < 0.6),
        basket=not motor and bool(rng.random() < 0.3),
    )


def paint_ride(canvas: Canvas, pose: Pose, ride: Ride, number: int, steer: float) -> None:
    """Paint a bicycle or motorcycle: its wheels, then its limbs."""
    half = ride.base / 2
    tyre = 0.12 if ride.motor else 0.045
    for z in (-half, half):
        _wheel(canvas, pose, (z, ride.radius), tyre, number, spokes=not ride.motor)
    paint_limbs(canvas, pose, ride_limbs(ride, steer), number)
    if ride.motor and canvas.light.night:
        cos, sin = math.cos(pose.heading), math.sin(pose.heading)
        for z, colour in ((half * 0.8, (250.0, 246.0, 225.0)), (-half - 0.1, (190.0, 22.0, 24.0))):
            canvas.lamp((pose.x + sin * z, 0.85, pose.z + cos * z), 0.1, colour, number)


def ride_limbs(ride: Ride, steer: float) -> list[Limb]:
    """Return everything but its wheels; `steer` is how far the bars are turned, metres at a grip."""
    return _motor(ride) if ride.motor else _frame(ride, steer)


def _wheel(
    canvas: Canvas, pose: Pose, at: tuple[float, float], tyre: float, number: int, *, spokes: bool
) -> None:
    """Paint a wheel as a ring, seen through between its spokes if it is a bicycle's."""
    z, radius = at
    a = np.linspace(0, 2 * math.pi, RING_CORNERS + 1)
    r = radius - tyre / 2
    ring = np.stack([np.zeros_like(a), radius + r * np.sin(a), z + r * np.cos(a)], 1)
    points: list[Point] = [(float(x), float(y), float(d)) for x, y, d in pose.world(ring)]
    view = canvas.camera.view(np.array(points[:-1]))
    if not spokes:
        canvas.polygon(view, canvas.light.tint((46, 46, 50), float(view[:, 2].mean())), number)
    for p, q in pairwise(points):
        canvas.limb(p, q, (tyre, tyre), RUBBER, number)
    if spokes and view[:, 2].min() < canvas.camera.focal / SMALL:
        for k in range(0, RING_CORNERS // 2, 2):
            canvas.limb(points[k], points[k + RING_CORNERS // 2], (0.008, 0.008), STEEL, number)


def _frame(ride: Ride, steer: float) -> list[Limb]:
    """Tubes, saddle, bars, pedals and perhaps a basket of a bicycle."""
    h, r, c = ride.base / 2, ride.radius, ride.colour
    crank, head, seat = (
        (0.0, 0.28, -0.03),
        (0.0, ride.grip - 0.2, h * 0.68),
        (0.0, ride.seat - 0.1, -0.2),
    )
    bar = (0.0, ride.grip, h * 0.6)
    tubes = [(crank, head), (crank, seat), (seat, head), ((0.0, r, -h), crank), ((0.0, r, -h), seat),
             ((0.0, r, h), head), (head, bar)]  # fmt: skip
    limbs = [Limb(a, b, (0.045, 0.045), c) for a, b in tubes]
    limbs += [
        Limb(seat, (0, ride.seat, -0.22), (0.03, 0.03), STEEL),
        Limb((0, ride.seat, -0.34), (0, ride.seat + 0.01, -0.08), (0.15, 0.07), RUBBER),
        Limb((-0.28, ride.grip, bar[2] - 0.08 + steer), bar, (0.035, 0.03), RUBBER),
        Limb((0.28, ride.grip, bar[2] - 0.08 - steer), bar, (0.035, 0.03), RUBBER),
        Limb((-0.16, 0.28, -0.03), (0.16, 0.28, -0.03), (0.03, 0.03), STEEL),
        Limb((0.03, 0.28, -0.03), (0.03, 0.281, -0.03), (0.17, 0.17), (60, 60, 64)),
    ]
    if ride.basket:
        limbs.append(
            Limb(
                (0, ride.grip - 0.22, h * 0.95),
                (0, ride.grip - 0.05, h),
                (0.3, 0.36),
                (120, 96, 64),
            )
        )
    return limbs


def _motor(ride: Ride) -> list[Limb]:
    """Body, tank, seat, fork, bars, exhaust and lamp of a motorcycle or scooter."""
    h, r, c = ride.base / 2, ride.radius, ride.colour
    fork, lamp = (0.0, ride.grip - 0.1, h * 0.55), (0.0, 0.85, h * 0.75)
    limbs = [
        Limb((-0.05, r, h), (-0.05, fork[1], fork[2]), (0.06, 0.06), STEEL),
        Limb((0.05, r, h), (0.05, fork[1], fork[2]), (0.06, 0.06), STEEL),
        Limb((-0.36, ride.grip, 0.26), (0.36, ride.grip, 0.26), (0.05, 0.05), RUBBER),
        Limb((0, ride.seat, -h * 0.95), (0, ride.seat, 0.0), (0.2, 0.28), (32, 30, 32)),
        Limb((0, r + 0.1, -h), (0, ride.seat - 0.12, -h * 0.5), (0.16, 0.26), c),
        Limb((0, lamp[1], lamp[2]), (0, lamp[1] + 0.01, lamp[2] + 0.06), (0.2, 0.18), (236, 234, 214)),
        Limb(
            (0, ride.seat - 0.1, -h - 0.08),
            (0, ride.seat - 0.12, -h - 0.14),
            (0.12, 0.1),
            (180, 24, 26),
        ),
        Limb((0.33, ride.grip + 0.14, 0.28), (0.36, ride.grip + 0.15, 0.28), (0.1, 0.1), RUBBER),
        Limb((-0.33, ride.grip + 0.14, 0.28), (-0.36, ride.grip + 0.15, 0.28), (0.1, 0.1), RUBBER),
    ]
    if ride.scooter:
        return [
            *limbs,
            Limb((0, 0.3, h * 0.55), (0, ride.grip - 0.12, h * 0.6), (0.4, 0.36), c),
            Limb((0, 0.24, -h * 0.2), (0, 0.24, h * 0.5), (0.3, 0.3), RUBBER),
            Limb((0, 0.5, -h * 0.8), (0, 0.55, -h * 0.2), (0.36, 0.34), c),
        ]
    return [
        *limbs,
        Limb((0, ride.seat + 0.03, 0.02), (0, ride.seat + 0.06, 0.38), (0.3, 0.26), c),
        Limb((0, 0.38, -0.12), (0, 0.46, 0.22), (0.38, 0.34), (74, 74, 78)),
        Limb((0.16, 0.3, -h), (0.14, 0.32, 0.1), (0.1, 0.06), STEEL),
        Limb((0, lamp[1] - 0.05, lamp[2] - 0.1), (0, lamp[1] + 0.1, lamp[2] - 0.02), (0.28, 0.2), c),
    ]
