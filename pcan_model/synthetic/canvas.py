"""The canvas of the synthetic drive with colours and ids, the pinhole camera and the light."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Colour = tuple[float, float, float]  # RGB, 0..255
Point = tuple[float, float, float]  # metres: right, up, forward

NEAR = 0.6  # metres; nothing nearer is drawn
SUPERSAMPLE = 2  # canvas pixels per image pixel
PATCH = 64  # pixels of a surface texture, stretched over an object
NEUTRAL = 128  # texture value that changes nothing
EMISSIVE, GLASS, MATT = 2, 1, 0  # kinds of surface


@dataclass(frozen=True, slots=True)
class PinholeCamera:
    """A pinhole over the ground plane; the world is x right, y up, z forward, in metres."""

    focal: float  # canvas pixels
    centre: float  # canvas pixels, column of the optical axis
    horizon: float  # canvas pixels, row of the horizon
    height: float  # metres over the ground
    x: float  # metres
    z: float  # metres
    yaw: float  # radians, to the right

    def view(self, points: Floats) -> Floats:
        """Transform world to camera coordinates, (N, 3) to (N, 3): right, up (over the ground), forward."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        x, z = points[:, 0] - self.x, points[:, 2] - self.z
        return np.stack([cos * x - sin * z, points[:, 1], sin * x + cos * z], axis=1)

    def pixels(self, view: Floats) -> NDArray[np.int32]:
        """Project camera coordinates to the canvas, (N, 3) to (N, 2); points must be before the camera."""
        u = self.centre + self.focal * view[:, 0] / view[:, 2]
        v = self.horizon + self.focal * (self.height - view[:, 1]) / view[:, 2]
        return np.stack([u, v], axis=1).clip(-7000, 7000).round().astype(np.int32)

    def point(self, p: Point) -> tuple[float, float, float] | None:
        """Project a world point to column, row and canvas pixels per metre; None behind the camera."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        x, z = p[0] - self.x, p[2] - self.z
        depth = sin * x + cos * z
        if depth < NEAR:
            return None
        s = self.focal / depth
        return self.centre + s * (cos * x - sin * z), self.horizon + s * (self.height - p[1]), s


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """The light of a drive."""

    sun: Floats  # (3,) unit vector towards the sun
    ambient: float  # part of the light that comes from everywhere
    haze: Colour  # what far things fade into
    visibility: float  # metres after which 63 % is haze
    sky: Colour  # colour that glass mirrors
    night: bool  # lamps shine

    def paint(self, colours: Floats, normals: Floats, kinds: NDArray[np.int_], depth: float) -> Floats:
        """Shade surfaces: (F, 3) colours, (F, 3) normals, (F,) kinds to (F, 3) colours."""
        facing = (normals @ self.sun).clip(0, None)
        glow = np.where(kinds == EMISSIVE, 1.0, self.ambient + (1 - self.ambient) * facing)
        shaded = colours * (glow + 0.12 * normals[:, 1])[:, None]
        mirror = np.where(kinds == GLASS, 0.15 + 0.35 * normals[:, 1].clip(0, 1), 0)[:, None]
        shaded = shaded * (1 - mirror) + np.array(self.sky) * mirror
        fade = 1 - math.exp(-depth / self.visibility)
        return (shaded * (1 - fade) + np.array(self.haze) * fade).clip(0, 255)

    def tint(self, colour: Colour, depth: float, shade: float = 1.0) -> Colour:
        """Shade and fade one colour."""
        f = math.exp(-depth / self.visibility)
        g, (hr, hg, hb) = f * shade, self.haze
        r, g, b = colour[0] * g, colour[1] * g, colour[2] * g
        return r + hr * (1 - f), g + hg * (1 - f), b + hb * (1 - f)


@dataclass(slots=True, eq=False)
class Canvas:
    """An image of colours and ids, which are painted together."""

    pixels: NDArray[np.uint8]  # (H, W, 4) red, green, blue, id (0 = nothing labelled)
    camera: PinholeCamera
    light: Light
    lamps: list[tuple[int, int, float, Colour, int]] = field(default_factory=list)  # u v radius
    box: list[int] = field(default_factory=lambda: [1 << 20, 1 << 20, -1, -1])  # of the strokes

    def begin(self) -> None:
        """Reset the bounding box of the strokes."""
        self.box = [1 << 20, 1 << 20, -1, -1]

    def fill(self, points: NDArray[np.int32], colour: Colour | Floats, number: int) -> None:
        """Fill one polygon of canvas pixels, (N, 2)."""
        x, y, w, h = cv2.boundingRect(points)
        if not self._reaches(x, y, x + w, y + h, 0):
            return
        r, g, b = colour
        cv2.fillPoly(self.pixels, [points], (float(r), float(g), float(b), number))

    def polygon(self, view: Floats, colour: Colour | Floats, number: int) -> None:
        """Fill a polygon of camera points, (N, 3), clipped at the near plane."""
        if view[:, 2].min() < NEAR:
            view = cut_near(view)
        if len(view) > 2:
            self.fill(self.camera.pixels(view), colour, number)

    def limb(self, a: Point, b: Point, wide: tuple[float, float], colour: Colour, number: int) -> None:
        """Paint a round limb from a to b with diameters `wide` (metres) at its ends."""
        p = self.camera.point(a)
        q = p if a is b else self.camera.point(b)
        if p is None or q is None:
            return
        r, s = wide[0] * p[2] / 2, wide[1] * q[2] / 2
        u1, v1, u2, v2 = int(p[0]), int(p[1]), int(q[0]), int(q[1])
        if not self._reaches(u1, v1, u2, v2, int(max(r, s)) + 1):
            return
        red, green, blue = self.light.tint(colour, self.camera.focal / p[2])
        ink = (red, green, blue, number)
        if abs(r - s) < 1:
            cv2.line(self.pixels, (u1, v1), (u2, v2), ink, max(1, round(r + s)))
        else:
            self._taper((u1, v1, r), (u2, v2, s), ink)

    def _taper(
        self,
        p: tuple[int, int, float],
        q: tuple[int, int, float],
        ink: tuple[float, float, float, int],
    ) -> None:
        """Paint two discs (column, row, radius) and the area between them."""
        (u1, v1, r), (u2, v2, s) = p, q
        length = math.hypot(u2 - u1, v2 - v1) or 1.0
        x, y = (v1 - v2) / length, (u2 - u1) / length
        quad = [(u1 + x * r, v1 + y * r), (u2 + x * s, v2 + y * s),
                (u2 - x * s, v2 - y * s), (u1 - x * r, v1 - y * r)]  # fmt: skip
        cv2.fillConvexPoly(self.pixels, np.array(quad).round().astype(np.int32), ink)
        cv2.circle(self.pixels, (u1, v1), max(0, round(r)), ink, -1)
        cv2.circle(self.pixels, (u2, v2), max(0, round(s)), ink, -1)

    def _reaches(self, u1: int, v1: int, u2: int, v2: int, pad: int) -> bool:
        """Extend the bounding box by a stroke; returns False if the stroke is outside the image."""
        x1, x2 = (u1, u2) if u1 < u2 else (u2, u1)
        y1, y2 = (v1, v2) if v1 < v2 else (v2, v1)
        x1, y1, x2, y2 = x1 - pad, y1 - pad, x2 + pad, y2 + pad
        height, width = self.pixels.shape[:2]
        if x2 < 0 or y2 < 0 or x1 >= width or y1 >= height or x2 - x1 > 15000 or y2 - y1 > 15000:
            return False
        box = self.box
        box[0], box[1] = min(box[0], x1), min(box[1], y1)
        box[2], box[3] = max(box[2], x2), max(box[3], y2)
        return True

    def lamp(self, at: Point, size: float, colour: Colour, number: int) -> None:
        """Register a lamp of `size` metres, which glows unless hidden."""
        p = self.camera.point(at)
        if p is not None:
            self.lamps.append((int(p[0]), int(p[1]), size * p[2], colour, number))

    def texture(self, number: int, patch: NDArray[np.uint8]) -> None:
        """Multiply the pixels painted with `number` since `begin` by a texture (h, w, 4)."""
        x1, y1 = max(self.box[0], 0), max(self.box[1], 0)
        x2 = min(self.box[2] + 1, self.pixels.shape[1])
        y2 = min(self.box[3] + 1, self.pixels.shape[0])
        if x2 - x1 < 4 or y2 - y1 < 4:
            return
        part = self.pixels[y1:y2, x1:x2]
        sheet = cv2.resize(patch, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR)
        mask = (part[..., 3] == number).view(np.uint8)
        cv2.copyTo(cv2.multiply(part, sheet, scale=1 / NEUTRAL), mask, part)

    def darken(self, world: Floats, factor: float) -> None:
        """Multiply the colours inside a convex polygon on the ground, (N, 3) world points."""
        view = self.camera.view(world)
        if view[:, 2].min() < 1.0:
            view[:, 2] = view[:, 2].clip(1.0, None)
        points = self.camera.pixels(view)
        height, width = self.pixels.shape[:2]
        x1, y1 = points.min(0).clip(0, (width, height))
        x2, y2 = (points.max(0) + 1).clip(0, (width, height))
        if x2 <= x1 or y2 <= y1:
            return
        mask = np.zeros((y2 - y1, x2 - x1), np.uint8)
        cv2.fillPoly(mask, [points - np.array([x1, y1], np.int32)], 255)
        part = self.pixels[y1:y2, x1:x2]
        cv2.copyTo(cv2.multiply(part, np.array([factor, factor, factor, 1.0])), mask, part)


def cut_near(view: Floats) -> Floats:
    """Clip a polygon at the near plane, (N, 3) to (M, 3)."""
    kept: list[Floats] = []
    for a, b in zip(view, np.roll(view, -1, axis=0), strict=True):
        if a[2] >= NEAR:
            kept.append(a)
        if (a[2] >= NEAR) != (b[2] >= NEAR):
            kept.append(a + (b - a) * (NEAR - a[2]) / (b[2] - a[2]))
    return np.array(kept).reshape(-1, 3)


def make_patch(rng: np.random.Generator, *, rough: float, shade: float) -> NDArray[np.uint8]:
    """Draw a surface texture: light from above, broad stains and fine grain, (PATCH, PATCH, 4)."""
    sheet = np.linspace(shade, -shade, PATCH)[:, None] + rng.uniform(-0.1, 0.1) * np.linspace(-1, 1, PATCH)
    for cells, part in ((3, 0.5), (9, 0.3), (PATCH, 0.2)):
        noise = rng.standard_normal((cells, cells)).astype(np.float32)
        sheet = sheet + part * rough * cv2.resize(noise, (PATCH, PATCH), interpolation=cv2.INTER_CUBIC)
    patch = np.full((PATCH, PATCH, 4), NEUTRAL, np.uint8)
    patch[..., :3] = (NEUTRAL * (1 + sheet)).clip(20, 250)[..., None].astype(np.uint8)
    return patch
