"""Bodies of trucks, buses and trams, each drawn from a random generator."""

from __future__ import annotations

import numpy as np

from pcan_model.synthetic.canvas import GLASS, Colour, Floats
from pcan_model.synthetic.mesh import (
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
from pcan_model.synthetic.paint import DARK, PANE, PLATE, RED_LAMP, WHITE_LAMP, random_paint, random_rim


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
            build.wheel(sign * w * 0.95, z, 0.48, random_rim(rng))
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
            build.wheel(sign * w, z, 0.48, random_rim(rng))
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
