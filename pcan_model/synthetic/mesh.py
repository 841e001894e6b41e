"""Meshes of flat faces, and their rendering."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcan_model.synthetic.canvas import EMISSIVE, MATT, Canvas, Colour, Floats

WHEEL_CORNERS = 14


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a body stands on the ground."""

    x: float  # metres
    z: float  # metres
    heading: float  # radians; 0 = looking away from a camera without yaw, positive to the right

    def world(self, points: Floats) -> Floats:
        """Transform body (right, up, forward) to world coordinates, (N, 3)."""
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        x, y, z = points.T
        return np.stack([self.x + cos * x + sin * z, y, self.z - sin * x + cos * z], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """F faces in convex parts; within a part later faces lie on earlier ones."""

    vertices: Floats  # (V, 3) metres, body coordinates
    ends: NDArray[np.int_]  # (F + 1,) where each face's vertices begin
    colours: Floats  # (F, 3) RGB
    kinds: NDArray[np.int_]  # (F,) MATT, GLASS or EMISSIVE
    normals: Floats  # (F, 3) outward
    centres: Floats  # (F, 3)
    parts: NDArray[np.int_]  # (F,) part of each face

    def paint(self, canvas: Canvas, pose: Pose, number: int) -> None:
        """Paint the faces visible from the camera, the farthest part first."""
        centres = canvas.camera.view(pose.world(self.centres))
        normals = pose.world(self.normals) - (pose.x, 0, pose.z)
        view = canvas.camera.view(pose.world(self.vertices))
        towards = centres - (0, canvas.camera.height, 0)
        turned = canvas.camera.view(normals + np.array([canvas.camera.x, 0, canvas.camera.z]))
        depth = max(1.0, float(centres[:, 2].mean()))
        colours = canvas.light.paint(self.colours, normals, self.kinds, depth)
        seen = (turned * towards).sum(1) < 0
        for part in self._far_first(centres):
            for f in np.flatnonzero(seen & (self.parts == part)):
                canvas.polygon(view[self.ends[f] : self.ends[f + 1]], colours[f], number)
        for f in np.flatnonzero(seen & (self.kinds == EMISSIVE)) if canvas.light.night else ():
            x, y, z = pose.world(self.centres[f : f + 1])[0].tolist()
            r, g, b = self.colours[f].tolist()
            canvas.lamp((x, y, z), 0.12, (r, g, b), number)

    def _far_first(self, centres: Floats) -> list[int]:
        parts = range(int(self.parts[-1]) + 1)
        if len(parts) == 1:
            return [0]
        return sorted(parts, key=lambda p: -float(centres[self.parts == p, 2].min()))

    def shadow(self, canvas: Canvas, pose: Pose) -> None:
        """Darken the ground below the body."""
        low, high = self.vertices.min(0), self.vertices.max(0)
        for grow, dark in ((0.25, 0.75), (-0.05, 0.55)):
            x1, z1, x2, z2 = low[0] - grow, low[2] - grow, high[0] + grow, high[2] + grow
            foot = np.array([(x1, 0, z1), (x2, 0, z1), (x2, 0, z2), (x1, 0, z2)])
            canvas.darken(pose.world(foot), dark)


class MeshBuilder:
    """Collects faces, each with an outward direction, so that their winding does not matter."""

    def __init__(self) -> None:
        self._faces: list[tuple[Floats, Colour, int, Floats, int]] = []
        self._part = 0

    def next_part(self) -> None:
        """Begin another convex part."""
        self._part += 1

    def face(self, points: Floats, colour: Colour, outward: Floats, kind: int = MATT) -> None:
        """Add a face of (N, 3) points with a normal roughly along `outward`."""
        edges = np.roll(points, -1, axis=0) - points
        normal = np.cross(points, np.roll(points, -1, axis=0)).sum(0)
        normal = normal / (np.linalg.norm(normal) or 1.0)
        normal = -normal if normal @ outward < 0 else normal
        if np.abs(edges).max() > 0:
            self._faces.append((points, colour, kind, normal, self._part))

    def lamp(self, quad: Floats, colour: Colour, outward: Floats) -> None:
        """Add a shining face."""
        self.face(quad, colour, outward, EMISSIVE)

    def box(
        self, low: tuple[float, float, float], high: tuple[float, float, float], colour: Colour
    ) -> list[Floats]:
        """Add a box; returns its faces: left, right, rear, front, top."""
        (x1, y1, z1), (x2, y2, z2) = low, high
        left = np.array([(x1, y1, z2), (x1, y1, z1), (x1, y2, z1), (x1, y2, z2)])
        right = np.array([(x2, y1, z1), (x2, y1, z2), (x2, y2, z2), (x2, y2, z1)])
        rear = np.array([(x1, y1, z1), (x2, y1, z1), (x2, y2, z1), (x1, y2, z1)])
        front = np.array([(x2, y1, z2), (x1, y1, z2), (x1, y2, z2), (x2, y2, z2)])
        top = np.array([(x1, y2, z1), (x2, y2, z1), (x2, y2, z2), (x1, y2, z2)])
        faces = [left, right, rear, front, top]
        for quad, outward in zip(faces, OUTWARD, strict=True):
            self.face(quad, colour, outward)
        return faces

    def wheel(self, x: float, z: float, radius: float, rim: Colour, *, rims: bool = True) -> None:
        """Add a wheel, facing the side on which it is."""
        side = np.array([math.copysign(1, x), 0, 0])
        for r, colour in (
            (1.18, (14, 14, 16)),
            (1.0, (28, 28, 30)),
            (0.66, rim),
            (0.2, (60, 60, 62)),
        ):
            if r < 0.9 and not rims:
                break
            a = np.linspace(0, 2 * math.pi, WHEEL_CORNERS, endpoint=False)
            y = radius + r * radius * np.sin(a)
            if r > 1:
                y = np.maximum(y, radius * 0.8)  # the arch is in the body only
            ring = np.stack([np.full_like(a, x + side[0] * 0.012), y, z + r * radius * np.cos(a)], 1)
            self.face(ring, colour, side)

    def build(self) -> Mesh:
        """Return the mesh."""
        points, colours, kinds, normals, parts = zip(*self._faces, strict=True)
        return Mesh(
            vertices=np.concatenate(points),
            ends=np.cumsum([0, *map(len, points)]),
            colours=np.array(colours, np.float64),
            kinds=np.array(kinds),
            normals=np.array(normals),
            centres=np.array([p.mean(0) for p in points]),
            parts=np.array(parts),
        )


LEFT, RIGHT = np.array([-1.0, 0, 0]), np.array([1.0, 0, 0])
REAR, FRONT = np.array([0, 0, -1.0]), np.array([0, 0, 1.0])
UP = np.array([0, 1.0, 0])
OUTWARD = (LEFT, RIGHT, REAR, FRONT, UP)


def inset(quad: Floats, u1: float, u2: float, v1: float, v2: float) -> Floats:
    """Cut a rectangle out of a quad (4, 3): u from corner 0 to 1, v from 0 to 3; (4, 3)."""

    def at(u: float, v: float) -> Floats:
        low = quad[0] * (1 - u) + quad[1] * u
        high = quad[3] * (1 - u) + quad[2] * u
        point: Floats = low * (1 - v) + high * v
        return point

    return np.array([at(u1, v1), at(u2, v1), at(u2, v2), at(u1, v2)])
