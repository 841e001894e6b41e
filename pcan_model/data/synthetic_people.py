"""People, bicycles and motorcycles, painted as round limbs in a walking, standing or riding pose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pcan_model.data.synthetic_canvas import Canvas, Colour, Point
from pcan_model.data.synthetic_mesh import Pose

SKINS: tuple[Colour, ...] = (
    (244, 208, 178), (226, 180, 146), (198, 146, 108), (160, 110, 76), (116, 78, 54), (78, 52, 40),
)  # fmt: skip
HAIR: tuple[Colour, ...] = (
    (28, 22, 20),
    (60, 40, 26),
    (110, 76, 44),
    (170, 130, 70),
    (130, 130, 130),
)
RUBBER: Colour = (26, 26, 28)
STEEL: Colour = (140, 142, 146)
RING_CORNERS = 20
SMALL = 40  # canvas pixels per metre below which edges and spokes are left out


@dataclass(frozen=True, slots=True)
class Limb:
    """A round piece of a body."""

    a: Point  # metres, body coordinates: right, up, forward
    b: Point
    wide: tuple[float, float]  # metres, diameter at a and b
    colour: Colour
    light: bool = True  # gets a lit edge


@dataclass(frozen=True, slots=True)
class Look:
    """What a person looks like."""

    tall: float  # metres
    stout: float  # widths, relative
    skin: Colour
    hair: Colour
    top: Colour
    legs: Colour
    shoes: Colour
    long_hair: bool
    helmet: Colour | None
    skirt: bool
    coat: bool
    backpack: Colour | None
    bag: Colour | None


@dataclass(frozen=True, slots=True)
class Ride:
    """What a bicycle or motorcycle looks like."""

    motor: bool
    scooter: bool
    colour: Colour
    radius: float  # metres, of the wheels
    base: float  # metres between the axles
    seat: float  # metres over the ground
    grip: float  # metres over the ground
    upright: bool  # bars nearer to the rider
    basket: bool


def _cloth(rng: np.random.Generator) -> Colour:
    """Clothes are mostly dark or dull, sometimes bright."""
    if rng.random() < 0.25:
        r, g, b = rng.uniform(30, 250, 3).tolist()
    else:
        v = rng.uniform(20, 200) if rng.random() < 0.6 else rng.uniform(15, 70)
        r, g, b = (v * (1 + rng.normal(0, 0.18, 3))).clip(8, 250).tolist()
    return r, g, b


def make_look(rng: np.random.Generator, *, rider: bool = False, motor: bool = False) -> Look:
    """Draw a person."""
    child = not rider and rng.random() < 0.1
    maybe = rng.random(6)
    return Look(
        tall=float(rng.uniform(1.0, 1.4) if child else rng.normal(1.71, 0.09)),
        stout=float(rng.uniform(0.88, 1.25)),
        skin=SKINS[rng.integers(len(SKINS))],
        hair=HAIR[rng.integers(len(HAIR))],
        top=_cloth(rng),
        legs=(34, 40, 62) if maybe[0] < 0.3 else _cloth(rng),
        shoes=(230, 230, 228) if maybe[1] < 0.25 else (30, 28, 28),
        long_hair=bool(maybe[2] < 0.35),
        helmet=_cloth(rng) if rider and (motor or maybe[3] < 0.6) else None,
        skirt=not rider and bool(maybe[4] < 0.12),
        coat=not rider and bool(maybe[4] > 0.75),
        backpack=_cloth(rng) if maybe[5] < 0.25 else None,
        bag=_cloth(rng) if not rider and maybe[5] > 0.8 else None,
    )


def make_ride(rng: np.random.Generator, *, motor: bool) -> Ride:
    """Draw a bicycle, motorcycle or scooter."""
    scooter = motor and bool(rng.random() < 0.35)
    return Ride(
        motor=motor,
        scooter=scooter,
        colour=_cloth(rng) if rng.random() < 0.5 else tuple(rng.uniform(40, 240, 3).tolist()),
        radius=float(rng.uniform(0.22, 0.25) if scooter else rng.uniform(0.3, 0.35)),
        base=float(rng.uniform(1.25, 1.5) if motor else rng.uniform(0.98, 1.12)),
        seat=float(rng.uniform(0.75, 0.85) if motor else rng.uniform(0.85, 1.0)),
        grip=float(rng.uniform(0.95, 1.1) if motor else rng.uniform(0.9, 1.08)),
        upright=bool(rng.random() < 0.6),
        basket=not motor and bool(rng.random() < 0.3),
    )


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


def walker(look: Look, phase: float, stride: float) -> list[Limb]:
    """A person on foot; phase in radians, stride 0 (standing) to 1, origin between the feet."""
    t, s = look.tall, look.stout
    swing = math.sin(phase) * 0.45 * stride
    bob = t * 0.02 * abs(math.cos(phase)) * stride
    hip, chest = t * 0.52 + bob, t * 0.8 + bob
    limbs: list[Limb] = []
    for side in (-1, 1):
        x, angle = side * 0.085 * s * t / 1.7, side * swing
        bend = 0.5 * stride * max(0.0, -side * math.cos(phase))
        knee = (x, hip - t * 0.26 * math.cos(angle), t * 0.26 * math.sin(angle))
        ankle = (x, max(0.06, knee[1] - t * 0.24 * math.cos(angle - bend)),
                 knee[2] + t * 0.24 * math.sin(angle - bend))  # fmt: skip
        limbs += _leg(look, (x, hip, 0.0), knee, ankle)
        limbs += _arm(look, side, chest, -angle * 0.9, 0.25)
    return limbs + _trunk(look, hip, chest, 0.0, 0.0)


def _leg(look: Look, hip: Point, knee: Point, ankle: Point) -> list[Limb]:
    k = look.stout * look.tall / 1.7
    shin = look.skin if look.skirt else look.legs
    return [
        Limb(hip, knee, (0.18 * k, 0.13 * k), look.legs),
        Limb(knee, ankle, (0.125 * k, 0.09 * k), shin),
        Limb(
            ankle,
            (ankle[0], max(0.04, ankle[1] - 0.03), ankle[2] + 0.15),
            (0.085, 0.07),
            look.shoes,
        ),
    ]


def _arm(look: Look, side: int, chest: float, angle: float, bend: float) -> list[Limb]:
    k, t = look.stout * look.tall / 1.7, look.tall
    x = side * 0.2 * k
    elbow = (x * 1.15, chest - 0.17 * t * math.cos(angle), 0.17 * t * math.sin(angle))
    hand = (
        x * 1.18,
        elbow[1] - 0.15 * t * math.cos(angle + bend),
        elbow[2] + 0.15 * t * math.sin(angle + bend),
    )
    limbs = [
        Limb((x, chest - 0.02, 0), elbow, (0.115 * k, 0.095 * k), look.top),
        Limb(elbow, hand, (0.09 * k, 0.07 * k), look.top),
        Limb(hand, (hand[0], hand[1] - 0.05, hand[2] + 0.01), (0.075, 0.065), look.skin, light=False),
    ]
    if look.bag and side > 0:
        low = (hand[0], hand[1] - 0.35, hand[2])
        limbs.append(Limb((hand[0], hand[1] - 0.15, hand[2]), low, (0.2, 0.28), look.bag))
    return limbs


def _trunk(look: Look, hip: float, chest: float, lean: float, at: float) -> list[Limb]:
    """Hips, body, neck, head and hair; `lean` is how far the chest is before the hips, `at` the hips."""
    k, t = look.stout * look.tall / 1.7, look.tall
    top, head = at + lean, (0.0, chest + 0.115 * t, at + lean * 1.2 + 0.02)
    middle = ((hip + chest) / 2, (at + top) / 2)
    limbs = [
        Limb((0, hip + 0.02, at), (0, *middle), (0.31 * k, 0.29 * k), look.top),
        Limb((-0.075 * k, chest - 0.06, top), (-0.05 * k, *middle), (0.24 * k, 0.2 * k), look.top),
        Limb((0.075 * k, chest - 0.06, top), (0.05 * k, *middle), (0.24 * k, 0.2 * k), look.top),
        Limb((0, hip, at), (0, hip + 0.03, at), (0.31 * k, 0.3 * k), look.legs),
        Limb((0, chest, top), (0, chest + 0.06 * t, head[2]), (0.11, 0.1), look.skin, light=False),
        *_head(look, head),
    ]
    if look.coat or look.skirt:
        hem = hip - t * (0.2 if look.coat else 0.26)
        limbs.append(
            Limb(
                (0, hip, at),
                (0, hem, at),
                (0.33 * k, 0.4 * k),
                look.top if look.coat else look.legs,
            )
        )
    if look.backpack:
        z = at + lean * 0.6 - 0.2
        limbs.append(Limb((0, chest - 0.08, z), (0, hip + 0.12, z + 0.02), (0.26, 0.32), look.backpack))
    return limbs


def _head(look: Look, at: Point) -> list[Limb]:
    """Face, and hair or a helmet on top and behind."""
    x, y, z = at
    cover = look.helmet or look.hair
    size, nape = (0.24 if look.helmet else 0.175), y - (0.2 if look.long_hair else 0.02)
    return [
        Limb((x, y - 0.035, z + 0.02), (x, y + 0.025, z), (0.15, 0.165), look.skin),
        Limb((x, y + 0.05, z - 0.02), (x, y + 0.04, z - 0.06), (size, size), cover),
        Limb((x, y + 0.02, z - 0.09), (x, nape, z - 0.1), (0.14, 0.13), cover),
    ]


def rider(look: Look, ride: Ride, phase: float) -> list[Limb]:
    """A person on a bicycle or motorcycle; phase of the pedals in radians."""
    seat_z, k = (-0.12 if ride.motor else -0.2), look.stout * look.tall / 1.7
    hip = ride.seat + 0.08
    lean = 0.12 if ride.upright else 0.38
    chest = hip + look.tall * (0.29 if ride.upright else 0.25)
    limbs = _trunk(look, hip, chest, lean, seat_z)
    for side in (-1, 1):
        turn = phase + (math.pi if side < 0 else 0.0)
        pedal = (side * 0.12, 0.29 + 0.16 * math.cos(turn), 0.02 + 0.16 * math.sin(turn))
        if ride.motor:
            pedal = (side * 0.2, 0.34, 0.32 if ride.scooter else 0.05)
        knee = _joint(
            (side * 0.1, hip, seat_z), pedal, look.tall * 0.26, side * (0.1 if ride.motor else 0.04)
        )
        limbs += _leg(look, (side * 0.1 * k, hip, seat_z), knee, pedal)
        hand = (side * (0.33 if ride.motor else 0.25), ride.grip, 0.28)
        elbow = (side * 0.3 * k, (chest + ride.grip) / 2 - 0.04, (seat_z + lean + 0.28) / 2)
        limbs += [
            Limb((side * 0.2 * k, chest - 0.03, seat_z + lean), elbow, (0.12 * k, 0.1 * k), look.top),
            Limb(elbow, hand, (0.09 * k, 0.075), look.top),
            Limb(hand, (hand[0], hand[1], hand[2] + 0.03), (0.08, 0.07), look.skin, light=False),
        ]
    return limbs


def _joint(hip: Point, foot: Point, length: float, out: float) -> Point:
    """The knee between hip and foot: forward of their middle as far as the leg's length asks."""
    dy, dz = foot[1] - hip[1], foot[2] - hip[2]
    half = math.hypot(dy, dz) / 2
    forward = math.sqrt(max(0.0, length**2 - half**2))
    scale = forward / (2 * half or 1.0)
    return (
        (hip[0] + foot[0]) / 2 + out,
        (hip[1] + foot[1]) / 2 + dz * scale,
        (hip[2] + foot[2]) / 2 - dy * scale,
    )


def paint_ride(canvas: Canvas, pose: Pose, ride: Ride, number: int, steer: float) -> None:
    """Paint a bicycle or motorcycle: its wheels, then its limbs."""
    half = ride.base / 2
    tyre = 0.12 if ride.motor else 0.045
    for z in (-half, half):
        _wheel(canvas, pose, (z, ride.radius), tyre, number, spokes=not ride.motor)
    paint_limbs(canvas, pose, _motor(ride) if ride.motor else _frame(ride, steer), number)
    if ride.motor and canvas.light.night:
        cos, sin = math.cos(pose.heading), math.sin(pose.heading)
        for z, colour in ((half * 0.8, (250.0, 246.0, 225.0)), (-half - 0.1, (190.0, 22.0, 24.0))):
            canvas.lamp((pose.x + sin * z, 0.85, pose.z + cos * z), 0.1, colour, number)


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
