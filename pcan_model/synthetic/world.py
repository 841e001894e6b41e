"""Actors of the synthetic drive, with a shape, a position, a speed and one or two labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.config import CLASSES
from pcan_model.synthetic.canvas import Canvas, make_patch
from pcan_model.synthetic.cars import make_car
from pcan_model.synthetic.ground import Street
from pcan_model.synthetic.limbs import paint_limbs
from pcan_model.synthetic.mesh import Mesh, Pose
from pcan_model.synthetic.people import Appearance, make_appearance, rider, walker
from pcan_model.synthetic.rides import Ride, make_ride, paint_ride
from pcan_model.synthetic.vehicles import make_bus, make_train, make_truck

LABEL = {name: index for index, name in enumerate(CLASSES)}
VEHICLES: dict[str, Callable[[np.random.Generator], Mesh]] = {
    "car": make_car, "truck": make_truck, "bus": make_bus, "train": make_train,
}  # fmt: skip
TRIES = 12  # positions tried for an actor before it is skipped


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """A moving or parked object; a rider and the vehicle are one actor with two labels."""

    labels: tuple[int, ...]  # index into CLASSES, in order of painting
    ids: tuple[int, ...]  # identity of each
    start: Pose  # at frame 0
    speed: tuple[float, float]  # metres per frame along x and z
    reach: tuple[float, float]  # metres, half of its extent on the ground along x and z
    patch: NDArray[np.uint8]  # surface texture
    mesh: Mesh | None = None
    appearance: Appearance | None = None
    ride: Ride | None = None
    phase: float = 0.0  # radians at frame 0
    rate: float = 0.0  # radians per frame

    def pose(self, moment: float) -> Pose:
        """Return its pose at a time in frames of RATE."""
        x, z = self.start.x + self.speed[0] * moment, self.start.z + self.speed[1] * moment
        return Pose(x, z, self.start.heading)

    def shadow(self, canvas: Canvas, moment: float) -> None:
        """Darken the ground below it."""
        pose = self.pose(moment)
        if self.mesh is not None:
            self.mesh.shadow(canvas, pose)
            return
        half = 0.8 if self.ride else 0.2
        foot = np.array([(-0.25, 0, -half), (0.25, 0, -half), (0.25, 0, half), (-0.25, 0, half)])
        canvas.darken(pose.world(foot), 0.65)

    def paint(self, canvas: Canvas, moment: float, first: int) -> None:
        """Paint it; its labels take the canvas numbers first, first + 1."""
        pose, phase = self.pose(moment), self.phase + self.rate * moment
        canvas.begin()
        if self.mesh is not None:
            self.mesh.paint(canvas, pose, first)
        elif self.ride is None and self.appearance is not None:
            paint_limbs(canvas, pose, walker(self.appearance, phase, 1.0 if self.rate else 0.1), first)
        elif self.ride is not None:
            self._paint_ridden(canvas, pose, first, phase)
        for number in range(first, first + len(self.labels)):
            canvas.texture(number, self.patch)

    def _paint_ridden(self, canvas: Canvas, pose: Pose, first: int, phase: float) -> None:
        assert self.ride is not None
        limbs = rider(self.appearance, self.ride, phase) if self.appearance else []
        away = _away(canvas, pose)
        far = [limb for limb in limbs if limb.b[0] * away > 0.05 and limb.b[1] < self.ride.seat]
        paint_limbs(canvas, pose, far, first + 1)
        paint_ride(canvas, pose, self.ride, first, 0.03 * math.sin(phase))
        paint_limbs(canvas, pose, [limb for limb in limbs if limb not in far], first + 1)


def _away(canvas: Canvas, pose: Pose) -> float:
    """1 if the right side of a body looks away from the camera, -1 if the left one does."""
    dx, dz = pose.x - canvas.camera.x, pose.z - canvas.camera.z
    return 1.0 if dx * math.cos(pose.heading) - dz * math.sin(pose.heading) > 0 else -1.0


class Crowd:
    """Places actors at free positions and assigns ids."""

    def __init__(self, street: Street, rng: np.random.Generator) -> None:
        self.actors: list[Actor] = []
        self.street = street
        self.rng = rng
        self._next = 1

    def vehicle(self, name: str, x: float, z: float, heading: float, speed: float) -> None:
        """Add a car, truck, bus or train that drives along its heading."""
        mesh = VEHICLES[name](self.rng)
        half = np.abs(mesh.vertices[:, [0, 2]]).max(0)
        turned = abs(math.sin(heading)) > 0.7
        reach = (float(half[1]), float(half[0])) if turned else (float(half[0]), float(half[1]))
        self._add((LABEL[name],), Pose(x, z, heading), speed, reach, mesh=mesh)

    def person(self, x: float, z: float, heading: float, *, walking: bool) -> None:
        """Add a pedestrian."""
        pace = float(self.rng.uniform(0.12, 0.32)) if walking else 0.0
        rate = pace * 4.2
        self._add(
            (LABEL["pedestrian"],),
            Pose(x, z, heading),
            pace,
            (0.35, 0.35),
            rate=rate,
            appearance=make_appearance(self.rng),
        )

    def two_wheeler(
        self, name: str, x: float, z: float, heading: float, speed: float, *, ridden: bool
    ) -> None:
        """Add a bicycle or motorcycle, with its rider or without."""
        motor = name == "motorcycle"
        appearance = make_appearance(self.rng, rider=True, motor=motor) if ridden else None
        labels = (LABEL[name], LABEL["rider"]) if ridden else (LABEL[name],)
        ride, rate = make_ride(self.rng, motor=motor), 0.0 if motor else speed * 1.4
        self._add(labels, Pose(x, z, heading), speed, (0.6, 1.0), rate=rate, appearance=appearance, ride=ride)

    def _add(
        self, labels: tuple[int, ...], pose: Pose, speed: float, reach: tuple[float, float], *,
        rate: float = 0.0, mesh: Mesh | None = None, appearance: Appearance | None = None,
        ride: Ride | None = None,
    ) -> None:  # fmt: skip
        for other in self.actors:
            gap_x = abs(pose.x - other.start.x) - reach[0] - other.reach[0]
            gap_z = abs(pose.z - other.start.z) - reach[1] - other.reach[1]
            if gap_x < 0.2 and gap_z < 0.3:
                return
        ids = tuple(range(self._next, self._next + len(labels)))
        self._next += len(labels)
        along = (speed * math.sin(pose.heading), speed * math.cos(pose.heading))
        rough, shade = (0.1, 0.12) if mesh is not None else (0.16, 0.08)
        patch = make_patch(self.rng, rough=rough, shade=shade)
        phase = float(self.rng.uniform(0, 2 * math.pi))
        self.actors.append(Actor(labels, ids, pose, along, reach, patch, mesh, appearance, ride, phase, rate))


def make_street(rng: np.random.Generator, length: float) -> Street:
    """Sample a cross section: one to four lanes, including the camera's."""
    highway = bool(rng.random() < 0.18)
    wide, left, right = rng.uniform(2.9, 3.7), int(rng.integers(1, 4)), int(rng.integers(0, 3))
    borders = tuple(wide * (k - 0.5) for k in range(-left, right + 2))
    park = 0.0 if highway else 2.2
    rails = -wide * int(rng.integers(0, left + 1)) if not highway and rng.random() < 0.5 else None
    return Street(
        left=borders[0] - park, right=borders[-1] + park, lanes=borders,
        walk=0.8 if highway else float(rng.uniform(1.8, 4)), length=length + 110,
        highway=highway, rails=rails,
    )  # fmt: skip


def populate(street: Street, ego: float, rng: np.random.Generator) -> tuple[Actor, ...]:
    """Fill a street; `ego` is the camera's speed in metres per frame. Rare classes come often."""
    crowd = Crowd(street, rng)
    oncoming = -1.0 if rng.random() < 0.75 else 1.0  # one-way street otherwise
    if not street.highway and rng.random() < 0.5:
        _people(crowd)
    _traffic(crowd, ego, oncoming)
    _riders(crowd, ego, oncoming)
    if not street.highway:
        _people(crowd)
        _roadside(crowd)
    return tuple(crowd.actors)


def _far(rng: np.random.Generator, low: float, high: float) -> float:
    """Sample a distance, near ones more often."""
    return float(low + (high - low) * rng.random() ** 1.6)


def _traffic(crowd: Crowd, ego: float, oncoming: float) -> None:
    """Cars, trucks, buses and trains in the lanes."""
    street, rng = crowd.street, crowd.rng
    if street.rails is not None:
        same = street.rails == 0 or rng.random() < 0.5
        speed = ego * rng.uniform(0.6, 1.1) if same else 0.6
        crowd.vehicle("train", street.rails, _far(rng, 22, 50), 0 if same else math.pi, speed)
    names = ["car", "truck", "bus"]
    chances = rng.dirichlet([3.0, 0.9, 0.9])
    for a, b in zip(street.lanes, street.lanes[1:], strict=False):
        middle = (a + b) / 2
        turned = middle < -1 and oncoming < 0
        pace = rng.uniform(0.3, 1.6) if turned else ego * rng.uniform(0.75, 1.2)
        for _ in range(rng.integers(0, 4)):
            name = str(rng.choice(names, p=chances))
            z = _far(rng, 9 if abs(middle) < 1 else 3, 60) + (4 if name != "car" else 0)
            x = middle + rng.normal(0, 0.15)
            crowd.vehicle(name, x, z, (math.pi if turned else 0) + rng.normal(0, 0.03), pace)
    if not street.highway and rng.random() < 0.35:
        for _ in range(rng.integers(1, 4)):  # a crossing
            x, heading = rng.uniform(-16, 16), math.pi / 2 * rng.choice([-1, 1])
            name = str(rng.choice(names, p=[0.6, 0.2, 0.2]))
            crowd.vehicle(name, x, rng.uniform(14, 34), heading, rng.uniform(0, 1))


def _roadside(crowd: Crowd) -> None:
    """Parked cars, bicycles and motorcycles, along the kerb or nose to it."""
    street, rng = crowd.street, crowd.rng
    for x, heading in ((street.left + 1.05, math.pi), (street.right - 1.05, 0.0)):
        full, z = rng.uniform(0, 0.7), rng.uniform(2, 8)
        while z < 60:
            if rng.random() < full:
                crowd.vehicle(
                    "car" if rng.random() < 0.93 else "truck",
                    x,
                    z,
                    heading + rng.normal(0, 0.04),
                    0,
                )
            z += rng.uniform(5.2, 8)
    for name, most in (("bicycle", 5), ("motorcycle", 5)):
        z, side = _far(rng, 4, 25), rng.choice([-1, 1])
        kerb = (street.left - 0.6) if side < 0 else (street.right + 0.6)
        for k in range(rng.integers(0, most)):
            heading = rng.uniform(0, 2 * math.pi)
            crowd.two_wheeler(name, kerb + side * rng.uniform(0, 0.5), z + 1.9 * k, heading, 0, ridden=False)


def _riders(crowd: Crowd, ego: float, oncoming: float) -> None:
    """People on bicycles and motorcycles: along the road, against it, a few across."""
    street, rng = crowd.street, crowd.rng
    for name in ("bicycle", "motorcycle"):
        for _ in range(rng.integers(0, 2 if street.highway else 6)):
            x = rng.uniform(street.left + 1.5, street.right - 0.8)
            heading = math.pi if x < -1 and oncoming < 0 else 0.0
            if rng.random() < 0.25 and not street.highway:
                heading = rng.uniform(0, 2 * math.pi)
            z = _far(rng, 5, 32)
            pace = rng.uniform(0.4, 0.9) if name == "bicycle" else max(0.5, ego * rng.uniform(0.8, 1.2))
            crowd.two_wheeler(name, x, z, heading + rng.normal(0, 0.15), pace, ridden=True)


def _people(crowd: Crowd) -> None:
    """Pedestrians on the pavements, in groups, and some on the road."""
    street, rng = crowd.street, crowd.rng
    for _ in range(rng.integers(2, 9)):
        side = rng.choice([-1, 1])
        kerb = street.left if side < 0 else street.right
        x = kerb + side * rng.uniform(0.2, street.walk - 0.2)
        heading = rng.choice([0.0, math.pi]) + rng.normal(0, 0.3)
        if rng.random() < 0.4:
            x, heading = rng.uniform(street.left, street.right), math.pi / 2 * rng.choice([-1, 1])
        z, walking = _far(rng, 4, 36), bool(rng.random() < 0.8)
        for k in range(1 + rng.integers(0, 3) * int(rng.random() < 0.4)):
            crowd.person(x + rng.normal(0, 0.3) + 0.7 * k, z + rng.normal(0, 0.5), heading, walking=walking)
