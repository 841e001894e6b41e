"""Boxes around the actors of the synthetic drive, one for each of their labels."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from pcan_model.core.space import Box3D
from pcan_model.synthetic.canvas import Floats
from pcan_model.synthetic.limbs import Limb
from pcan_model.synthetic.people import rider, walker
from pcan_model.synthetic.rides import ride_limbs
from pcan_model.synthetic.world import Actor

PHASES = np.linspace(0, 2 * math.pi, 8, endpoint=False)  # of a stride, whose boxes are united

Extent = tuple[Floats, Floats]  # lowest and highest corner, (3,) body coordinates: right, up, forward


def boxes(actor: Actor, moment: float, rate: float) -> list[Box3D]:
    """Return the boxes of an actor's labels in the map frame.

    moment  time in frames of RATE
    rate    RATE, frames per second
    """
    pose, (along_x, along_z) = actor.pose(moment), actor.speed
    velocity = np.array([along_z, -along_x, 0.0]) * rate
    found = []
    for label, identity, (low, high) in zip(actor.labels, actor.ids, _extents(actor), strict=True):
        x, y, z = pose.world((low + high)[None] / 2)[0]
        wide, tall, long = high - low
        centre, size = np.array([z, -x, y]), np.array([long, wide, tall])
        found.append(Box3D(identity, label, 1.0, centre, size, -pose.heading, velocity))
    return found


def _extents(actor: Actor) -> list[Extent]:
    if actor.mesh is not None:
        return [(actor.mesh.vertices.min(0), actor.mesh.vertices.max(0))]
    if actor.ride is None:
        assert actor.appearance is not None
        stride = 1.0 if actor.rate else 0.1
        return [_around(limb for phase in PHASES for limb in walker(actor.appearance, phase, stride))]
    ride = actor.ride
    low, high = _around(ride_limbs(ride, 0.0))
    reach = ride.base / 2 + ride.radius
    extents = [(np.minimum(low, (0, 0, -reach)), np.maximum(high, (0, 0, reach)))]
    if actor.appearance is not None:
        extents.append(_around(limb for phase in PHASES for limb in rider(actor.appearance, ride, phase)))
    return extents


def _around(limbs: Iterable[Limb]) -> Extent:
    ends = np.array([(*end, wide) for limb in limbs for end, wide in _ends(limb)])
    points, half = ends[:, :3], ends[:, 3:] / 2
    return (points - half).min(0), (points + half).max(0)


def _ends(limb: Limb) -> Iterable[tuple[tuple[float, float, float], float]]:
    return ((limb.a, limb.wide[0]), (limb.b, limb.wide[1]))
