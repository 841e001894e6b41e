"""Bodies of cars, each drawn from a random generator."""

from __future__ import annotations

import numpy as np

from pcan_model.synthetic.canvas import (
    GLASS,
    Colour,
    Floats,
)
from pcan_model.synthetic.mesh import (
    FRONT,
    LEFT,
    REAR,
    RIGHT,
    UP,
    Mesh,
    MeshBuilder,
    inset,
)
from pcan_model.synthetic.paint import DARK, PANE, PLATE, RED_LAMP, WHITE_LAMP, random_paint, random_rim


def make_car(rng: np.random.Generator) -> Mesh:
    """Draw a hatchback, sedan, estate, off-roader or van: a side profile swept across its width."""
    build, paint = MeshBuilder(), random_paint(rng)
    kind = rng.choice(["hatch", "sedan", "estate", "suv", "van"], p=[0.25, 0.3, 0.12, 0.23, 0.1])
    tall = {"hatch": 1.47, "sedan": 1.43, "estate": 1.5, "suv": 1.72, "van": 1.98}[kind]
    long = {"hatch": 4.0, "sedan": 4.7, "estate": 4.7, "suv": 4.6, "van": 4.9}[kind]
    profile = _profile(rng, kind, long * rng.uniform(0.93, 1.07), tall * rng.uniform(0.95, 1.06))
    trim = DARK if kind in ("suv", "van") and rng.random() < 0.5 else paint
    wheels = rng.uniform(0.3, 0.34) * (1.12 if kind == "suv" else 1.0)
    _hull(build, profile, paint, trim, rng)
    _wheels(build, profile, wheels, random_rim(rng))
    build.next_part()
    _cabin(build, profile, paint, glass=kind != "van" or rng.random() < 0.5)
    if paint[0] > 200 and paint[2] < 60:
        build.next_part()
        roof = profile[4:6].mean(0)
        build.box((-0.3, roof[1], roof[0] - 0.15), (0.3, roof[1] + 0.16, roof[0] + 0.15), (250, 240, 190))
    return build.build()


def _profile(rng: np.random.Generator, kind: str, long: float, tall: float) -> Floats:
    """Side outline from the front bumper over the roof to the rear, (10, 3): z, y, half width."""
    w = rng.uniform(0.84, 0.96)
    hood = tall * {"suv": 0.62, "van": 0.58}.get(kind, 0.62) * rng.uniform(0.96, 1.05)
    nose, tail = long / 2, -long / 2
    bonnet = {"van": 0.62, "hatch": 0.95, "suv": 1.15}.get(kind, 1.2) * rng.uniform(0.9, 1.1)
    slope = {"van": 0.6, "suv": 0.6}.get(kind, 0.75)
    boot = {"sedan": 0.85, "hatch": 0.12, "estate": 0.12, "suv": 0.1, "van": 0.04}[kind]
    lean = {"sedan": 0.75, "hatch": 0.45, "estate": 0.35, "suv": 0.35, "van": 0.08}[kind]
    belt = hood * (1.02 if kind != "van" else 1.0)
    return np.array([
        (nose - 0.08, 0.22, 0.93 * w), (nose, 0.48, 0.97 * w), (nose - 0.12, hood * 0.88, 0.94 * w),
        (nose - bonnet, hood, 0.96 * w), (nose - bonnet - slope, tall, 0.76 * w),
        (tail + boot + lean, tall * 0.985, 0.75 * w), (tail + boot, belt, 0.94 * w),
        (tail + 0.05, belt * 0.97, 0.93 * w), (tail, 0.5, 0.96 * w), (tail + 0.06, 0.24, 0.93 * w),
    ])  # fmt: skip


def _strip(profile: Floats, a: int, b: int) -> Floats:
    """The quad across the car between outline points a and b, seen from outside; (4, 3)."""
    (z1, y1, w1), (z2, y2, w2) = profile[a], profile[b]
    return np.array([(-w1, y1, z1), (w1, y1, z1), (w2, y2, z2), (-w2, y2, z2)])


def _side(profile: Floats, order: list[int], sign: int) -> Floats:
    return np.array([(sign * profile[k][2], profile[k][1], profile[k][0]) for k in order])


def _hull(build: MeshBuilder, p: Floats, paint: Colour, trim: Colour, rng: np.random.Generator) -> None:
    """Everything below the windows: sides, bumpers, bonnet, boot, lamps, plates."""
    for x in (-0.62, 0.5):  # tyres seen from before and behind
        for z, out in ((p[1][0] - 0.55, FRONT), (p[8][0] + 0.5, REAR)):
            build.face(np.array([(x, 0, z), (x + 0.2, 0, z), (x + 0.2, 0.4, z), (x, 0.4, z)]), DARK, out)
    dim: Colour = tuple(c * 0.82 for c in paint)  # type: ignore[assignment]
    for sign, out in ((-1, LEFT), (1, RIGHT)):
        build.face(_side(p, [0, 1, 2, 3, 6, 7, 8, 9], sign), paint, out)
        low = _side(p, [9, 0], sign)
        build.face(np.vstack([low, low[::-1] + np.array([0, 0.12, 0])]), trim if trim == DARK else dim, out)
        _doors(build, p, dim, sign, out)
    for a, b, colour, out in (
        (0, 1, trim, FRONT), (1, 2, paint, FRONT), (2, 3, paint, UP), (6, 7, paint, UP),
        (7, 8, paint, REAR), (8, 9, trim, REAR),
    ):  # fmt: skip
        build.face(_strip(p, a, b), colour, out)
    nose, tail, low, rear_low = _strip(p, 1, 2), _strip(p, 8, 7), _strip(p, 0, 1), _strip(p, 9, 8)
    build.face(inset(nose, 0.27, 0.73, 0.1, 0.7), (38, 38, 42), FRONT)
    build.face(inset(low, 0.2, 0.8, 0.25, 0.7), DARK, FRONT)
    build.face(inset(low, 0.37, 0.63, 0.6, 1.0), PLATE, FRONT)
    build.face(inset(tail, 0.36, 0.64, 0.12, 0.45), PLATE, REAR)
    build.face(inset(rear_low, 0.1, 0.9, 0.05, 0.45), DARK, REAR)
    inner, height = rng.uniform(0.2, 0.28), rng.uniform(0.35, 0.6)
    for u1, u2 in ((0.03, inner), (1 - inner, 0.97)):
        build.lamp(inset(nose, u1, u2, height, 0.95), WHITE_LAMP, FRONT)
        build.lamp(inset(tail, u1, u2, height, 0.95), RED_LAMP, REAR)


def _doors(build: MeshBuilder, p: Floats, dim: Colour, sign: int, out: Floats) -> None:
    """Gaps between doors and their handles."""
    front, rear = p[3][0] - 0.1, p[6][0] + 0.25
    x, belt = sign * (p[3][2] + 0.01), p[3][1] * 0.97
    for z in (front, (front + rear) / 2 - 0.05, rear):
        build.face(
            np.array([(x, 0.3, z), (x, 0.3, z - 0.025), (x, belt, z - 0.025), (x, belt, z)]),
            dim,
            out,
        )
    for z in ((front + rear) / 2 + 0.12, rear + 0.12):
        y = belt - 0.14
        build.face(
            np.array([(x, y, z), (x, y, z - 0.16), (x, y + 0.04, z - 0.16), (x, y + 0.04, z)]),
            dim,
            out,
        )


def _wheels(build: MeshBuilder, p: Floats, radius: float, rim: Colour) -> None:
    for z in (p[0][0] - 0.75, p[9][0] + 0.72):
        for sign in (-1, 1):
            build.wheel(sign * p[1][2], z, radius, rim)


def _cabin(build: MeshBuilder, p: Floats, paint: Colour, *, glass: bool) -> None:
    """Roof, panes and mirrors."""
    for sign, out in ((-1, LEFT), (1, RIGHT)):
        quad = _side(p, [6, 3, 4, 5], sign)
        build.face(quad, paint, out)
        for u1, u2 in ((0.06, 0.3), (0.33, 0.62), (0.65, 0.95)) if glass else ((0.65, 0.95),):
            build.face(inset(quad, u1, u2, 0.1, 0.86), PANE, out, GLASS)
        mirror = p[3] + (-0.12, 0.05, 0.02)
        z, y, x = mirror[0], mirror[1], sign * mirror[2]
        for face in (FRONT, REAR):
            wing = [
                (x, y, z),
                (x + sign * 0.2, y, z),
                (x + sign * 0.2, y + 0.15, z),
                (x, y + 0.15, z),
            ]
            build.face(np.array(wing), paint if face is FRONT else DARK, face)
    build.face(_strip(p, 4, 5), paint, UP)
    for a, b, out in ((3, 4, FRONT), (6, 5, REAR)):
        quad = _strip(p, a, b)
        build.face(quad, paint, out)
        build.face(inset(quad, 0.05, 0.95, 0.04, 0.9), PANE, out, GLASS)
        build.face(inset(quad, 0.15, 0.3, 0.1, 0.85), (70, 80, 90), out, GLASS)
