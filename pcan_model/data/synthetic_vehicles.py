"""Bodies of cars, trucks, buses and trams, each drawn from a random generator."""

from __future__ import annotations

import numpy as np

from pcan_model.data.synthetic_canvas import GLASS, Colour, Floats
from pcan_model.data.synthetic_mesh import (
    FRONT,
    LEFT,
    OUTWARD,
    REAR,
    RIGHT,
    UP,
    Mesh,
    MeshBuilder,
    inset,
)  # fmt: skip

PAINTS: tuple[Colour, ...] = (
    (232, 232, 230), (205, 207, 208), (150, 153, 157), (92, 95, 99), (32, 33, 36), (20, 20, 24),
    (150, 24, 28), (196, 40, 36), (28, 52, 112), (48, 92, 160), (40, 74, 58), (120, 104, 80),
    (214, 190, 60), (196, 110, 40), (86, 40, 48), (104, 132, 148), (240, 238, 228), (60, 64, 70),
)  # fmt: skip
TAXI: Colour = (240, 190, 20)
DARK: Colour = (24, 24, 27)
PANE: Colour = (42, 50, 58)
PLATE: Colour = (226, 226, 214)
WHITE_LAMP: Colour = (250, 246, 225)
RED_LAMP: Colour = (190, 22, 24)


def random_paint(rng: np.random.Generator) -> Colour:
    """Draw a lacquer, slightly off its tabulated colour."""
    base = TAXI if rng.random() < 0.06 else PAINTS[rng.integers(len(PAINTS))]
    r, g, b = (np.array(base) * rng.uniform(0.85, 1.1) + rng.normal(0, 6, 3)).clip(8, 250).tolist()
    return r, g, b


def _rim(rng: np.random.Generator) -> Colour:
    v = float(rng.uniform(70, 190))
    return v, v, v + 4


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
    _wheels(build, profile, wheels, _rim(rng))
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


def make_truck(rng: np.random.Generator) -> Mesh:
    """Draw a lorry: a cab and a box, a tanker, a flat bed or a tipper."""
    build, paint = MeshBuilder(), random_paint(rng)
    w, cab = rng.uniform(1.05, 1.25), rng.uniform(1.6, 2.2)
    high, long = rng.uniform(2.2, 3.0), rng.uniform(3.8, 9.0)
    _cab(build, (w * 0.96, long / 2, cab, high), paint)
    build.next_part()
    top = {"box": rng.uniform(2.6, 3.9), "flat": 1.3, "tipper": rng.uniform(1.8, 2.6)}
    kind = str(rng.choice(["box", "flat", "tipper"], p=[0.7, 0.1, 0.2]))
    cargo: Colour = (226, 226, 222) if rng.random() < 0.45 else random_paint(rng)
    chassis = build.box((-w * 0.8, 0.5, -long / 2), (w * 0.8, 0.95, long / 2 - 0.1), DARK)
    del chassis
    faces = build.box((-w, 0.95, -long / 2), (w, top[kind], long / 2 - 0.15), cargo)
    _dress_cargo(build, faces, kind, rng)
    for z in (-long / 2 + 0.9, -long / 2 + 2.0)[: 1 + int(long > 5)]:
        for sign in (-1, 1):
            build.wheel(sign * w * 0.95, z, 0.48, _rim(rng))
    return build.build()


def _cab(build: MeshBuilder, size: tuple[float, float, float, float], paint: Colour) -> None:
    """The driver's cab from z to z + length, with bumper, grille, lamps, panes and wheels."""
    w, z, long, high = size
    left, right, rear, front, top = build.box((-w, 0.4, z), (w, high, z + long), paint)
    del rear, top
    build.face(inset(front, 0.04, 0.96, 0.0, 0.18), DARK, FRONT)
    build.face(inset(front, 0.18, 0.82, 0.2, 0.48), (48, 48, 52), FRONT)
    build.face(inset(front, 0.05, 0.95, 0.55, 0.9), PANE, FRONT, GLASS)
    build.face(inset(front, 0.4, 0.6, 0.03, 0.12), PLATE, FRONT)
    for u in (0.05, 0.8):
        build.lamp(inset(front, u, u + 0.15, 0.2, 0.32), WHITE_LAMP, FRONT)
    build.face(inset(left, 0.1, 0.62, 0.55, 0.88), PANE, LEFT, GLASS)
    build.face(inset(right, 0.38, 0.9, 0.55, 0.88), PANE, RIGHT, GLASS)
    for sign in (-1, 1):
        build.wheel(sign * w, z + long * 0.5, 0.47, (120, 120, 122))
        x = sign * (w + 0.05)
        for out in (FRONT, REAR):
            y, d = high * 0.62, z + long - 0.1
            wing = [
                (x, y, d),
                (x + sign * 0.22, y, d),
                (x + sign * 0.22, y + 0.5, d),
                (x, y + 0.5, d),
            ]
            build.face(np.array(wing), DARK, out)


def _dress_cargo(build: MeshBuilder, faces: list[Floats], kind: str, rng: np.random.Generator) -> None:
    """Doors, lamps, stripes and lettering on the box of a lorry."""
    left, right, rear = faces[:3]
    sign: Colour = random_paint(rng)
    if kind == "box":
        low, high = sorted(rng.uniform(0.15, 0.9, 2).tolist())
        for quad, out in ((left, LEFT), (right, RIGHT)):
            build.face(inset(quad, 0.05, 0.95, low, high), sign, out)
            for u in np.arange(0.2, 0.75, 0.09):
                if rng.random() < 0.8:
                    build.face(
                        inset(quad, u, u + 0.06, low + 0.3 * (high - low), low + 0.7 * (high - low)),
                        PLATE,
                        out,
                    )
        build.face(inset(rear, 0.03, 0.97, 0.04, 0.96), (200, 200, 198), REAR)
        if rng.random() < 0.4:
            build.face(inset(rear, 0.1, 0.9, 0.4, 0.8), sign, REAR)
    else:
        for u in np.linspace(0.03, 0.95, 8):
            for quad, out in ((left, LEFT), (right, RIGHT)):
                build.face(inset(quad, u, u + 0.02, 0, 1), DARK, out)
    build.face(inset(rear, 0.49, 0.51, 0, 1), DARK, REAR)
    x1, _, z1 = rear[0]
    x2 = rear[1][0]
    bar = np.array([(x1, 0.5, z1 - 0.02), (x2, 0.5, z1 - 0.02), (x2, 0.8, z1 - 0.02), (x1, 0.8, z1 - 0.02)])
    build.face(bar, DARK, REAR)
    build.face(inset(bar, 0.4, 0.6, 0.2, 0.8), PLATE, REAR)
    for u in (0.05, 0.83):
        build.lamp(inset(bar, u, u + 0.12, 0.3, 0.8), RED_LAMP, REAR)
    if rng.random() < 0.5:
        for u in np.arange(0, 1, 0.125):
            build.face(inset(rear, u, u + 0.06, 0.01, 0.07), (210, 60, 40), REAR)


def make_bus(rng: np.random.Generator) -> Mesh:
    """Draw a city bus, coach, school bus or double decker."""
    build, paint = MeshBuilder(), random_paint(rng)
    w, long, high = 1.27, rng.uniform(8.5, 12.5), rng.uniform(2.9, 3.3)
    decks = 1
    if rng.random() < 0.15:
        decks, high = 2, 4.3
    elif rng.random() < 0.2:
        paint = (236, 170, 20)
    second: Colour = random_paint(rng) if rng.random() < 0.6 else paint
    faces = build.box((-w, 0.32, -long / 2), (w, high, long / 2), paint)
    for quad, out in zip(faces[:2], OUTWARD[:2], strict=True):
        build.face(inset(quad, 0, 1, 0.0, rng.uniform(0.15, 0.3)), second, out)
        for deck in range(decks):
            low = 0.42 if decks == 1 else 0.3 + 0.38 * deck
            _panes(
                build,
                quad,
                out,
                low,
                low + (0.38 if decks == 1 else 0.2),
                int(long * 0.75),
                doors=out is RIGHT and not deck,
            )
    _bus_ends(build, faces, decks, rng)
    for z in (long / 2 - 2.4, -long / 2 + 2.8):
        for sign in (-1, 1):
            build.wheel(sign * w, z, 0.48, _rim(rng))
    return build.build()


def _panes(
    build: MeshBuilder,
    quad: Floats,
    out: Floats,
    low: float,
    high: float,
    count: int,
    *,
    doors: bool,
) -> None:
    """A row of panes along a side, with doors if asked."""
    build.face(inset(quad, 0.02, 0.98, low - 0.01, high + 0.01), DARK, out)
    step = 0.96 / count
    for k in range(count):
        u = 0.02 + k * step
        door = doors and k in (count // 2, count - 1)
        build.face(
            inset(quad, u + 0.08 * step, u + 0.92 * step, 0.04 if door else low, high),
            PANE,
            out,
            GLASS,
        )


def _bus_ends(build: MeshBuilder, faces: list[Floats], decks: int, rng: np.random.Generator) -> None:
    rear, front, top = faces[2:]
    glass = 0.36 if decks == 1 else 0.2
    build.face(inset(front, 0.04, 0.96, glass, 0.84), PANE, FRONT, GLASS)
    build.face(inset(front, 0.2, 0.32, glass, 0.84), (84, 94, 104), FRONT, GLASS)
    build.face(inset(front, 0.12, 0.88, 0.87, 0.97), DARK, FRONT)
    build.face(inset(front, 0.3, 0.7, 0.89, 0.95), (250, 170, 40), FRONT)
    build.face(inset(front, 0.0, 1.0, 0.0, 0.1), DARK, FRONT)
    build.face(inset(front, 0.4, 0.6, 0.03, 0.09), PLATE, FRONT)
    build.face(inset(rear, 0.1, 0.9, 0.55, 0.88), PANE, REAR, GLASS)
    build.face(inset(rear, 0.1, 0.9, 0.12, 0.4), tuple(rng.uniform(30, 190, 3).tolist()), REAR)
    build.face(inset(rear, 0.42, 0.58, 0.04, 0.1), PLATE, REAR)
    build.face(inset(top, 0.25, 0.75, 0.3, 0.6), (150, 150, 150), UP)
    for u in (0.06, 0.8):
        build.lamp(inset(front, u, u + 0.14, 0.14, 0.22), WHITE_LAMP, FRONT)
        build.lamp(inset(rear, u + 0.02, u + 0.1, 0.14, 0.3), RED_LAMP, REAR)


def make_train(rng: np.random.Generator) -> Mesh:
    """Draw a tram or light train of two to four cars with slanted ends and a pantograph."""
    build, paint, second = MeshBuilder(), random_paint(rng), random_paint(rng)
    cars, long, w, high = int(rng.integers(2, 5)), rng.uniform(7, 11), 1.28, rng.uniform(3.2, 3.7)
    start = -cars * long / 2
    for k in range(cars):
        z1, z2 = start + k * long + 0.25, start + (k + 1) * long - 0.25
        faces = build.box((-w, 0.35, z1), (w, high, z2), paint)
        for quad, out in zip(faces[:2], OUTWARD[:2], strict=True):
            build.face(inset(quad, 0, 1, 0, 0.25), second, out)
            build.face(inset(quad, 0, 1, 0.93, 1), (110, 112, 116), out)
            _panes(build, quad, out, 0.42, 0.78, int(long * 0.8), doors=True)
        _train_ends(build, faces, second, first=k == 0, last=k == cars - 1)
        build.next_part()
        build.box((-0.8, high, z1 + 1), (0.8, high + 0.35, z2 - 1), (128, 130, 134))
        build.next_part()
        if k < cars - 1:
            build.box((-w * 0.85, 0.5, z2), (w * 0.85, high * 0.95, z2 + 0.5), DARK)
            build.next_part()
    return build.build()


def _train_ends(build: MeshBuilder, faces: list[Floats], second: Colour, *, first: bool, last: bool) -> None:
    for quad, out, end in ((faces[2], REAR, first), (faces[3], FRONT, last)):
        if not end:
            continue
        build.face(inset(quad, 0.06, 0.94, 0.38, 0.8), PANE, out, GLASS)
        build.face(inset(quad, 0.15, 0.3, 0.4, 0.78), (84, 94, 104), out, GLASS)
        build.face(inset(quad, 0, 1, 0, 0.3), second, out)
        build.face(inset(quad, 0.2, 0.8, 0.85, 0.95), DARK, out)
        build.face(inset(quad, 0.35, 0.65, 0.87, 0.93), (250, 170, 40), out)
        build.face(inset(quad, 0.3, 0.7, 0.0, 0.1), DARK, out)
        for u in (0.08, 0.78):
            build.lamp(inset(quad, u, u + 0.14, 0.16, 0.24), WHITE_LAMP if out is FRONT else RED_LAMP, out)
