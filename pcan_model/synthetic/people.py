"""People of the synthetic drive, walking, standing or riding."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pcan_model.synthetic.canvas import Colour, Point
from pcan_model.synthetic.limbs import Limb, random_cloth
from pcan_model.synthetic.rides import Ride

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


@dataclass(frozen=True, slots=True)
class Appearance:
    """Appearance of a person."""

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


def make_appearance(rng: np.random.Generator, *, rider: bool = False, motor: bool = False) -> Appearance:
    """Draw a person."""
    child = not rider and rng.random() < 0.1
    maybe = rng.random(6)
    return Appearance(
        tall=float(rng.uniform(1.0, 1.4) if child else rng.normal(1.71, 0.09)),
        stout=float(rng.uniform(0.88, 1.25)),
        skin=SKINS[rng.integers(len(SKINS))],
        hair=HAIR[rng.integers(len(HAIR))],
        top=random_cloth(rng),
        legs=(34, 40, 62) if maybe[0] < 0.3 else random_cloth(rng),
        shoes=(230, 230, 228) if maybe[1] < 0.25 else (30, 28, 28),
        long_hair=bool(maybe[2] < 0.35),
        helmet=random_cloth(rng) if rider and (motor or maybe[3] < 0.6) else None,
        skirt=not rider and bool(maybe[4] < 0.12),
        coat=not rider and bool(maybe[4] > 0.75),
        backpack=random_cloth(rng) if maybe[5] < 0.25 else None,
        bag=random_cloth(rng) if not rider and maybe[5] > 0.8 else None,
    )


def walker(appearance: Appearance, phase: float, stride: float) -> list[Limb]:
    """A person on foot; phase in radians, stride 0 (standing) to 1, origin between the feet."""
    t, s = appearance.tall, appearance.stout
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
        limbs += _leg(appearance, (x, hip, 0.0), knee, ankle)
        limbs += _arm(appearance, side, chest, -angle * 0.9, 0.25)
    return limbs + _trunk(appearance, hip, chest, 0.0, 0.0)


def _leg(appearance: Appearance, hip: Point, knee: Point, ankle: Point) -> list[Limb]:
    k = appearance.stout * appearance.tall / 1.7
    shin = appearance.skin if appearance.skirt else appearance.legs
    return [
        Limb(hip, knee, (0.18 * k, 0.13 * k), appearance.legs),
        Limb(knee, ankle, (0.125 * k, 0.09 * k), shin),
        Limb(
            ankle,
            (ankle[0], max(0.04, ankle[1] - 0.03), ankle[2] + 0.15),
            (0.085, 0.07),
            appearance.shoes,
        ),
    ]


def _arm(appearance: Appearance, side: int, chest: float, angle: float, bend: float) -> list[Limb]:
    k, t = appearance.stout * appearance.tall / 1.7, appearance.tall
    x = side * 0.2 * k
    elbow = (x * 1.15, chest - 0.17 * t * math.cos(angle), 0.17 * t * math.sin(angle))
    hand = (
        x * 1.18,
        elbow[1] - 0.15 * t * math.cos(angle + bend),
        elbow[2] + 0.15 * t * math.sin(angle + bend),
    )
    limbs = [
        Limb((x, chest - 0.02, 0), elbow, (0.115 * k, 0.095 * k), appearance.top),
        Limb(elbow, hand, (0.09 * k, 0.07 * k), appearance.top),
        Limb(hand, (hand[0], hand[1] - 0.05, hand[2] + 0.01), (0.075, 0.065), appearance.skin, light=False),
    ]
    if appearance.bag and side > 0:
        low = (hand[0], hand[1] - 0.35, hand[2])
        limbs.append(Limb((hand[0], hand[1] - 0.15, hand[2]), low, (0.2, 0.28), appearance.bag))
    return limbs


def _trunk(appearance: Appearance, hip: float, chest: float, lean: float, at: float) -> list[Limb]:
    """Hips, body, neck, head and hair; `lean` is how far the chest is before the hips, `at` the hips."""
    k, t = appearance.stout * appearance.tall / 1.7, appearance.tall
    top, head = at + lean, (0.0, chest + 0.115 * t, at + lean * 1.2 + 0.02)
    middle = ((hip + chest) / 2, (at + top) / 2)
    limbs = [
        Limb((0, hip + 0.02, at), (0, *middle), (0.31 * k, 0.29 * k), appearance.top),
        Limb((-0.075 * k, chest - 0.06, top), (-0.05 * k, *middle), (0.24 * k, 0.2 * k), appearance.top),
        Limb((0.075 * k, chest - 0.06, top), (0.05 * k, *middle), (0.24 * k, 0.2 * k), appearance.top),
        Limb((0, hip, at), (0, hip + 0.03, at), (0.31 * k, 0.3 * k), appearance.legs),
        Limb((0, chest, top), (0, chest + 0.06 * t, head[2]), (0.11, 0.1), appearance.skin, light=False),
        *_head(appearance, head),
    ]
    if appearance.coat or appearance.skirt:
        hem = hip - t * (0.2 if appearance.coat else 0.26)
        limbs.append(
            Limb(
                (0, hip, at),
                (0, hem, at),
                (0.33 * k, 0.4 * k),
                appearance.top if appearance.coat else appearance.legs,
            )
        )
    if appearance.backpack:
        z = at + lean * 0.6 - 0.2
        limbs.append(Limb((0, chest - 0.08, z), (0, hip + 0.12, z + 0.02), (0.26, 0.32), appearance.backpack))
    return limbs


def _head(appearance: Appearance, at: Point) -> list[Limb]:
    """Face, and hair or a helmet on top and behind."""
    x, y, z = at
    cover = appearance.helmet or appearance.hair
    size, nape = (0.24 if appearance.helmet else 0.175), y - (0.2 if appearance.long_hair else 0.02)
    return [
        Limb((x, y - 0.035, z + 0.02), (x, y + 0.025, z), (0.15, 0.165), appearance.skin),
        Limb((x, y + 0.05, z - 0.02), (x, y + 0.04, z - 0.06), (size, size), cover),
        Limb((x, y + 0.02, z - 0.09), (x, nape, z - 0.1), (0.14, 0.13), cover),
    ]


def rider(appearance: Appearance, ride: Ride, phase: float) -> list[Limb]:
    """A person on a bicycle or motorcycle; phase of the pedals in radians."""
    seat_z, k = (-0.12 if ride.motor else -0.2), appearance.stout * appearance.tall / 1.7
    hip = ride.seat + 0.08
    lean = 0.12 if ride.upright else 0.38
    chest = hip + appearance.tall * (0.29 if ride.upright else 0.25)
    limbs = _trunk(appearance, hip, chest, lean, seat_z)
    for side in (-1, 1):
        turn = phase + (math.pi if side < 0 else 0.0)
        pedal = (side * 0.12, 0.29 + 0.16 * math.cos(turn), 0.02 + 0.16 * math.sin(turn))
        if ride.motor:
            pedal = (side * 0.2, 0.34, 0.32 if ride.scooter else 0.05)
        knee = _joint(
            (side * 0.1, hip, seat_z), pedal, appearance.tall * 0.26, side * (0.1 if ride.motor else 0.04)
        )
        limbs += _leg(appearance, (side * 0.1 * k, hip, seat_z), knee, pedal)
        hand = (side * (0.33 if ride.motor else 0.25), ride.grip, 0.28)
        elbow = (side * 0.3 * k, (chest + ride.grip) / 2 - 0.04, (seat_z + lean + 0.28) / 2)
        limbs += [
            Limb((side * 0.2 * k, chest - 0.03, seat_z + lean), elbow, (0.12 * k, 0.1 * k), appearance.top),
            Limb(elbow, hand, (0.09 * k, 0.075), appearance.top),
            Limb(hand, (hand[0], hand[1], hand[2] + 0.03), (0.08, 0.07), appearance.skin, light=False),
        ]
    return limbs


def _joint(hip: Point, foot: Point, length: float, out: float) -> Point:
    """Return the knee between hip and foot, bent forward to keep the length of the leg."""
    dy, dz = foot[1] - hip[1], foot[2] - hip[2]
    half = math.hypot(dy, dz) / 2
    forward = math.sqrt(max(0.0, length**2 - half**2))
    scale = forward / (2 * half or 1.0)
    return (
        (hip[0] + foot[0]) / 2 + out,
        (hip[1] + foot[1]) / 2 + dz * scale,
        (hip[2] + foot[2]) / 2 - dy * scale,
    )
