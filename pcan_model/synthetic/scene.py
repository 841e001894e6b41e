"""The unlabelled parts of the synthetic drive: sky, ground, trees and posts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.synthetic.canvas import Canvas, Colour, Floats, PinholeCamera
from pcan_model.synthetic.ground import ACROSS, ALONG, GROUND_X, Street
from pcan_model.synthetic.houses import FIRST_HOUSE, House, paint_house
from pcan_model.synthetic.mesh import Pose


@dataclass(frozen=True, slots=True, eq=False)
class Scenery:
    """Background and props of a drive."""

    ground: NDArray[np.uint8]  # seen from above, see GROUND_X, ACROSS, ALONG
    sky: NDArray[np.uint8]  # wider than the image
    houses: tuple[House, ...]
    props: tuple[Prop, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Prop:
    """A tree, lamp post, sign, bin or cone."""

    pose: Pose
    kind: str  # tree | lamp | sign | signal | bin | cone
    high: float  # metres
    colour: Colour
    blobs: Floats = field(default_factory=lambda: np.zeros((0, 5)))  # x y z diameter shade


def make_sky(
    height: int, width: int, colours: tuple[Colour, Colour], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw sky with clouds and a far skyline on its lower edge, (height, width, 3)."""
    low, high = np.array(colours)
    t = np.linspace(0, 1, height)[:, None, None] ** 1.5
    sky = high * (1 - t) + low * t + np.zeros((height, width, 1))
    cells = rng.standard_normal((7, 12)).astype(np.float32)
    cloud = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    fine = rng.standard_normal((28, 40)).astype(np.float32)
    cloud = cloud + 0.5 * cv2.resize(fine, (width, height), interpolation=cv2.INTER_CUBIC)
    mix = (rng.uniform(0, 0.75) * (cloud - rng.uniform(-0.5, 1)).clip(0, 1))[..., None]
    sky = sky * (1 - mix) + low * mix * rng.uniform(0.95, 1.1)
    x = 0
    green = rng.random() < 0.5
    while x < width:
        w, top = int(rng.integers(8, 60)), int(rng.integers(2, max(3, height // 6)))
        tone = np.array([74, 92, 66]) if green else np.array([120, 120, 124])
        colour = tone * rng.uniform(0.6, 1.1) * 0.6 + low * 0.4
        if green:
            cv2.ellipse(sky, (x, height), (w, top), 0, 180, 360, colour.tolist(), -1)
        else:
            sky[height - top :, x : x + w] = colour
        x += max(4, w - int(rng.integers(0, 8)))
    return sky.clip(0, 255).astype(np.uint8)


def make_props(street: Street, rng: np.random.Generator) -> tuple[Prop, ...]:
    """Trees, lamps, signs, signals, bins and cones along the kerbs."""
    props = []
    kinds = ["tree", "lamp", "sign", "signal", "bin", "cone"]
    chances = rng.dirichlet([2.5, 1.5, 1, 0.7, 0.5, 0.3])
    for side, kerb in ((-1, street.left), (1, street.right)):
        z = rng.uniform(0, 10)
        while z < street.length + 20:
            kind = str(rng.choice(kinds, p=chances))
            high = {"tree": rng.uniform(4, 9), "lamp": rng.uniform(5, 8), "signal": 3.2,
                    "sign": rng.uniform(2.2, 3), "bin": 1.1, "cone": 0.7}[kind]  # fmt: skip
            colour = tuple(rng.uniform(40, 220, 3).tolist())
            pose = Pose(kerb + side * rng.uniform(0.4, 1.2), z, side * math.pi / 2)
            props.append(
                Prop(
                    pose,
                    kind,
                    high,
                    colour,
                    _crown(high, rng) if kind == "tree" else np.zeros((0, 5)),
                )
            )
            z += rng.uniform(3, 18)
    return tuple(props)


def _crown(high: float, rng: np.random.Generator) -> Floats:
    """Blobs of leaves, back to front and dark to light, (K, 5)."""
    count, wide = 70, high * rng.uniform(0.2, 0.34)
    at = rng.normal(0, 0.45, (count, 3)).clip(-1, 1) * (wide, high * 0.22, wide) + (
        0,
        high * 0.78,
        0,
    )
    size = rng.uniform(0.3, 1.1, count) ** 1.5 * wide * 0.5
    shade = 0.55 + 0.45 * np.linspace(0, 1, count) + rng.normal(0, 0.14, count)
    return np.column_stack([at, size, shade])


def paint_scene(canvas: Canvas, scenery: Scenery) -> None:
    """Paint sky, ground and houses over the whole canvas."""
    camera, (height, width) = canvas.camera, canvas.pixels.shape[:2]
    horizon = int(np.clip(camera.horizon, 0, height))
    _paint_sky(canvas, scenery.sky, horizon, width)
    _paint_ground(canvas, scenery.ground, horizon)
    paint_houses(canvas, scenery.houses)
    canvas.pixels[..., 3] = 0


def paint_houses(canvas: Canvas, houses: tuple[House, ...]) -> None:
    """Paint the houses before the camera, the farthest first, with temporary canvas ids."""
    camera = canvas.camera
    far = sorted(houses, key=lambda h: -max(h.z[0] - camera.z, -5))
    for k, house in enumerate(h for h in far if h.z[1] > camera.z + 1):
        paint_house(canvas, house, FIRST_HOUSE + k % 50)


def _paint_sky(canvas: Canvas, sky: NDArray[np.uint8], horizon: int, width: int) -> None:
    if horizon == 0:
        return
    shown = int(width * 0.6)
    shift = int(np.clip(math.tan(canvas.camera.yaw) * canvas.camera.focal * 0.6, -200, 200))
    start = (sky.shape[1] - shown) // 2 + shift
    part = sky[:, max(0, start) : max(0, start) + shown]
    rows = max(1, round(sky.shape[0] * horizon / max(horizon, canvas.pixels.shape[0] * 0.4)))
    canvas.pixels[:horizon, :, :3] = cv2.resize(part[-rows:], (width, horizon))


def _paint_ground(canvas: Canvas, ground: NDArray[np.uint8], horizon: int) -> None:
    """Map the ground image through the camera at half resolution and enlarge it."""
    camera, (height, width) = canvas.camera, canvas.pixels.shape[:2]
    if horizon >= height - 2:
        return
    matrix = np.diag([0.5, 0.5, 1.0]) @ _ground_map(camera)
    matrix[1] -= matrix[2] * horizon / 2
    size = ((width + 1) // 2, (height - horizon + 1) // 2)
    shown = cv2.warpPerspective(ground, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    depth = camera.focal * camera.height / (2 * np.arange(size[1]) + max(2.0, horizon - camera.horizon + 2))
    fade = (1 - np.exp(-depth / canvas.light.visibility))[:, None, None]
    near = shown * (1 - fade) + np.array(canvas.light.haze) * fade
    big = cv2.resize(near.astype(np.uint8), (width, 2 * size[1]), interpolation=cv2.INTER_LINEAR)
    canvas.pixels[horizon:, :, :3] = big[: height - horizon]


def _ground_map(camera: PinholeCamera) -> Floats:
    """Homography from ground image pixels to canvas pixels, (3, 3)."""
    cos, sin = math.cos(camera.yaw), math.sin(camera.yaw)
    forward = np.array([sin, cos, -sin * camera.x - cos * camera.z])
    across = np.array([cos, -sin, -cos * camera.x + sin * camera.z])
    u = camera.centre * forward + camera.focal * across
    v = camera.horizon * forward + np.array([0, 0, camera.focal * camera.height])
    metres = np.array([[1 / ACROSS, 0, -GROUND_X], [0, 1 / ALONG, 0], [0, 0, 1]])
    return np.stack([u, v, forward]) @ metres


def paint_prop(canvas: Canvas, prop: Prop) -> None:
    """Paint a prop."""
    x, z, h = prop.pose.x, prop.pose.z, prop.high
    if prop.kind == "tree":
        canvas.limb((x, 0, z), (x, h * 0.7, z), (0.28, 0.18), (74, 58, 46), 0)
        g = 0.6 + prop.colour[0] / 400
        step = 1 + int((z - canvas.camera.z) / 16)  # fewer leaves far away
        for bx, by, bz, size, shade in prop.blobs[::step].tolist():
            at = (x + bx, by, z + bz)
            canvas.limb(at, at, (size * step**0.4,) * 2, (72 * shade * g, 104 * shade, 46 * shade), 0)
        canvas.darken(_disc(x, z, h * 0.3), 0.75)
        return
    post = 0.12 if prop.kind != "bin" else 0.5
    if prop.kind == "cone":
        canvas.limb((x, 0.05, z), (x, h, z), (0.36, 0.06), (226, 92, 30), 0)
        return
    canvas.limb((x, 0, z), (x, h, z), (post, post), (84, 86, 88) if post < 0.2 else prop.colour, 0)
    if prop.kind == "lamp":
        arm = (x - math.copysign(1.6, x), h + 0.2, z)
        canvas.limb((x, h, z), arm, (0.1, 0.08), (84, 86, 88), 0)
        canvas.lamp(arm, 0.3, (255, 214, 150), 0)
    if prop.kind == "sign":
        canvas.limb((x, h, z), (x, h + 0.01, z), (0.7, 0.7), prop.colour, 0)
        canvas.limb((x, h, z - 0.02), (x, h + 0.01, z - 0.02), (0.5, 0.5), (236, 236, 232), 0)
    if prop.kind == "signal":
        canvas.limb((x, h, z), (x, h + 0.7, z), (0.34, 0.34), (30, 30, 32), 0)
        for k, colour in enumerate(((60, 190, 110), (90, 80, 30), (210, 40, 34))):
            at = (x, h + 0.05 + 0.27 * k, z - 0.05)
            canvas.limb(at, at, (0.22, 0.22), colour, 0)


def _disc(x: float, z: float, radius: float) -> Floats:
    a = np.linspace(0, 2 * math.pi, 12, endpoint=False)
    return np.stack([x + radius * np.cos(a), np.zeros_like(a), z + radius * np.sin(a)], 1)
