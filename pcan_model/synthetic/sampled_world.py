"""Everything sampled once per drive: the camera's motion, light, street, scenery and actors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pcan_model.synthetic.canvas import NEAR, Canvas, Light, PinholeCamera
from pcan_model.synthetic.ground import Street, make_ground
from pcan_model.synthetic.houses import make_houses
from pcan_model.synthetic.photo import Drive, make_drive, make_light
from pcan_model.synthetic.scene import Prop, Scenery, make_props, make_sky, paint_prop
from pcan_model.synthetic.world import Actor, make_street, populate

NUMBERS = 198  # limit of canvas ids for actors in a frame
FARTHEST = 75.0  # metres; actors farther away are not drawn


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Everything sampled once per drive."""

    drive: Drive
    light: Light
    street: Street
    scenery: Scenery
    actors: tuple[Actor, ...]

    def ahead(self, camera: PinholeCamera, moment: float) -> list[tuple[float, Actor]]:
        """Return the actors that are drawn, hidden or not, each with the distance of its near end."""
        poses = [(a.pose(moment), a) for a in self.actors]
        found = [(_depth(camera, pose.x, pose.z, a.reach[1]), a) for pose, a in poses]
        return [(d, a) for d, a in found if NEAR - 14 < d < FARTHEST]

    def paint(self, canvas: Canvas, moment: float) -> list[tuple[int, int]]:
        """Paint actors and props over the scene; returns (label, id) of numbers 1, 2, …

        moment  time in frames of RATE
        """
        actors = self.ahead(canvas.camera, moment)
        for _, actor in actors:
            actor.shadow(canvas, moment)
        props = [(_depth(canvas.camera, p.pose.x, p.pose.z, 0), p) for p in self.scenery.props]
        things: list[tuple[float, Actor | Prop]] = [*actors, *((d, p) for d, p in props if d > 1)]
        shown: list[tuple[int, int]] = []
        for _, thing in sorted(things, key=lambda e: -e[0]):
            if isinstance(thing, Prop):
                paint_prop(canvas, thing)
            elif len(shown) + len(thing.labels) <= NUMBERS:
                thing.paint(canvas, moment, len(shown) + 1)
                shown += zip(thing.labels, thing.ids, strict=True)
        return shown


def _depth(camera: PinholeCamera, x: float, z: float, reach: float) -> float:
    """Return the distance of the near end of an actor or prop."""
    return math.sin(camera.yaw) * (x - camera.x) + math.cos(camera.yaw) * (z - camera.z) - 0.8 * reach


def make_world(rng: np.random.Generator, length: float, size: tuple[int, int]) -> World:
    """Sample a street, its light, its actors and the motion of the camera for `length` frames at RATE."""
    drive, hour = (
        make_drive(rng),
        str(rng.choice(["day", "grey", "dusk", "night"], p=[0.45, 0.27, 0.13, 0.15])),
    )
    light, sky = make_light(hour, rng)
    street = make_street(rng, drive.speed * length)
    scenery = Scenery(
        make_ground(street, rng),
        make_sky(int(size[0] * 0.9), int(size[1] * 1.5), sky, rng),
        make_houses(street, rng),
        make_props(street, rng),
    )
    return World(drive, light, street, scenery, populate(street, drive.speed, rng))
