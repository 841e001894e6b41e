"""Depth of the synthetic drive: what the same painting covers, seen from any place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.synthetic.canvas import NEAR, Canvas, Colour, Floats, Light, PinholeCamera, Point, cut_near
from pcan_model.synthetic.photo import bonnet
from pcan_model.synthetic.sampled_world import World
from pcan_model.synthetic.scene import paint_houses

WHITE: Colour = (255.0, 255.0, 255.0)


@dataclass(slots=True, eq=False)
class DepthCanvas(Canvas):
    """A canvas that keeps the depth of each stroke instead of its colour.

    Strokes are drawn by the same routines as the image, so that both cover the same pixels. Faces are exact;
    limbs are round.
    """

    depth: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # (H, W) metres

    def polygon(self, view: Floats, colour: Colour | Floats, number: int) -> None:
        """Cover a polygon of camera points, (N, 3), with the depth of its plane."""
        if view[:, 2].min() < NEAR:
            view = cut_near(view)
        if len(view) < 3:
            return
        self.begin()
        Canvas.fill(self, self.camera.pixels(view), WHITE, 1)
        self._cover(lambda u, v: _plane(view, self.camera, u, v))

    def limb(self, a: Point, b: Point, wide: tuple[float, float], colour: Colour, number: int) -> None:
        """Cover a round limb with the depth of its surface."""
        p, q = self.camera.point(a), self.camera.point(b)
        if p is None or q is None:
            return
        self.begin()
        Canvas.limb(self, a, b, wide, WHITE, 1)
        self._cover(lambda u, v: _round(p, q, wide, self.camera.focal, u, v))

    def fill(self, points: NDArray[np.int32], colour: Colour | Floats, number: int) -> None:
        """Leave out windows, which lie on a facade that is painted already."""

    def darken(self, world: Floats, factor: float) -> None:
        """Leave out shadows."""

    def lamp(self, at: Point, size: float, colour: Colour, number: int) -> None:
        """Leave out the glow of lamps."""

    def texture(self, number: int, patch: NDArray[np.uint8]) -> None:
        """Leave out textures."""

    def _cover(self, depth: Callable[[Floats, Floats], Floats]) -> None:
        """Store the depth of the pixels of the last stroke; `depth` takes their columns and rows."""
        height, width = self.pixels.shape
        x1, y1 = max(self.box[0], 0), max(self.box[1], 0)
        x2, y2 = min(self.box[2] + 1, width), min(self.box[3] + 1, height)
        if x2 <= x1 or y2 <= y1:
            return
        stroke = self.pixels[y1:y2, x1:x2]
        rows, columns = np.nonzero(stroke)
        values = depth(columns.astype(np.float64) + x1, rows.astype(np.float64) + y1)
        self.depth[y1:y2, x1:x2][rows, columns] = values
        stroke[:] = 0


def _plane(view: Floats, camera: PinholeCamera, u: Floats, v: Floats) -> Floats:
    """Return the depth of a plane through a polygon at pixels, within that of its corners."""
    normal = np.cross(view, np.roll(view, -1, axis=0)).sum(0)
    offset = normal @ (view.mean(0) - (0.0, camera.height, 0.0))
    slope = normal[0] * (u - camera.centre) - normal[1] * (v - camera.horizon) + normal[2] * camera.focal
    flat = np.abs(slope) < 1e-9
    depth = offset * camera.focal / np.where(flat, 1.0, slope)
    low, high = view[:, 2].min(), view[:, 2].max()
    return np.where(flat, view[:, 2].mean(), depth).clip(low, high)


def _round(
    p: tuple[float, float, float],
    q: tuple[float, float, float],
    wide: tuple[float, float],
    focal: float,
    u: Floats,
    v: Floats,
) -> Floats:
    """Return the depth of a round limb at pixels.

    p, q  column, row and pixels per metre of its ends
    """
    du, dv = q[0] - p[0], q[1] - p[1]
    share = ((u - p[0]) * du + (v - p[1]) * dv) / max(du * du + dv * dv, 1e-9)
    share = share.clip(0.0, 1.0)
    scale = p[2] + share * (q[2] - p[2])
    radius = (wide[0] + share * (wide[1] - wide[0])) / 2
    off = np.hypot(u - p[0] - share * du, v - p[1] - share * dv) / scale
    return focal / scale - np.sqrt((radius**2 - off**2).clip(0.0, None))


def paint_depth(
    world: World, camera: PinholeCamera, moment: float, size: tuple[int, int], *, own_car: bool = False
) -> NDArray[np.float32]:
    """Return the depth along the optical axis seen by a camera, (H, W) metres; infinite where there is none.

    moment   time in frames of RATE
    size     (H, W) of the canvas
    own_car  whether the bonnet of the camera's own car hides what is behind it; it has no depth itself
    """
    height, width = size
    rows = np.arange(height, dtype=np.float32)
    below = np.maximum(rows - camera.horizon, 1e-6)
    ground = np.where(rows > camera.horizon, camera.focal * camera.height / below, np.inf)
    depth = np.repeat(ground.astype(np.float32)[:, None], width, axis=1)
    canvas = DepthCanvas(np.zeros(size, np.uint8), camera, _no_light(world.light), depth=depth)
    paint_houses(canvas, world.scenery.houses)
    world.paint(canvas, moment)
    if own_car and world.drive.bonnet:
        centre, axes = bonnet(world.drive, height, width)
        cv2.ellipse(depth, centre, axes, 0, 180, 360, float("inf"), -1)
    return depth


def _no_light(light: Light) -> Light:
    """Return the light without lamps, whose surfaces are painted already."""
    return Light(light.sun, light.ambient, (255.0, 255.0, 255.0), light.visibility, light.sky, night=False)
