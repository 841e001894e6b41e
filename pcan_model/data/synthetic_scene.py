"""What is not labelled in the synthetic drive: sky, ground, houses, trees and posts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.data.synthetic_canvas import NEAR, Camera, Canvas, Colour, Floats, make_patch
from pcan_model.data.synthetic_mesh import Pose, darken

GROUND_X = 26.0  # metres to either side that the ground picture shows
ACROSS, ALONG = 16, 8  # ground picture, pixels per metre across and along the road
FIRST_HOUSE = 200  # ids that houses use while they are painted


@dataclass(frozen=True, slots=True)
class Street:
    """The cross section of the road; the camera drives near x = 0."""

    left: float  # metres, x of the left kerb
    right: float  # metres, x of the right kerb
    lanes: tuple[float, ...]  # x of the lane borders
    walk: float  # metres, width of the pavements
    length: float  # metres that the ground picture shows
    highway: bool
    rails: float | None  # x of tram rails


@dataclass(frozen=True, slots=True, eq=False)
class House:
    """A house along the street; also walls and hedges, which have no windows."""

    x: float  # metres, plane of the facade (its sign tells the side)
    z: tuple[float, float]  # metres
    high: float  # metres
    colour: Colour
    trim: Colour
    glass: Colour
    windows: Floats  # (K, 4, 3) world coordinates
    lit: NDArray[np.bool_]  # (K,) a lamp burns behind it
    patch: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Scenery:
    """Everything that a drive paints behind and between its actors."""

    ground: NDArray[np.uint8]  # seen from above, see GROUND_X, ACROSS, ALONG
    sky: NDArray[np.uint8]  # wider than the picture
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


def make_ground(street: Street, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw the ground from above, (length * ALONG, 2 * GROUND_X * ACROSS, 3); row 0 is z = 0."""
    size = (int(street.length * ALONG), int(2 * GROUND_X * ACROSS))
    ground = np.empty((*size, 3), np.float32)
    outside = (96, 112, 62) if street.highway or rng.random() < 0.3 else (150, 146, 138)
    ground[:] = np.array(outside) * rng.uniform(0.75, 1.1) + rng.normal(0, 8, 3)
    asphalt = np.full(3, rng.uniform(62, 130)) + rng.normal(0, 4, 3)
    walk = np.full(3, rng.uniform(120, 185)) + rng.normal(0, 6, 3)
    _band(ground, street.left - street.walk, street.right + street.walk, walk)
    for row in range(0, size[0], int(ALONG * rng.uniform(0.8, 2.2))):
        ground[row] *= 0.9  # joints of the slabs, hidden below the asphalt
    _band(ground, street.left, street.right, asphalt)
    for x in (street.left, street.right):
        _band(ground, x - 0.12, x + 0.12, walk * 1.12)
    _wear(ground, street, rng)
    _mark(ground, street, rng)
    ground *= 1 + _stains(size, rng)[..., None]
    return ground.clip(0, 255).astype(np.uint8)


def _columns(low: float, high: float) -> slice:
    return slice(max(0, int((low + GROUND_X) * ACROSS)), max(0, math.ceil((high + GROUND_X) * ACROSS)))


def _band(ground: NDArray[np.float32], low: float, high: float, colour: Floats) -> None:
    ground[:, _columns(low, high)] = colour


def _stains(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    total = np.zeros(size, np.float32)
    for step, part in ((120, 0.08), (24, 0.05), (4, 0.05), (1, 0.04)):
        cells = (size[0] // step + 2, size[1] // step + 2)
        noise = rng.standard_normal(cells, np.float32) * np.float32(part)
        total += cv2.resize(noise, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return total


def _wear(ground: NDArray[np.float32], street: Street, rng: np.random.Generator) -> None:
    """Patches, cracks, manholes and the darker tracks of wheels."""
    road = _columns(street.left, street.right)
    for _ in range(rng.integers(0, 14)):
        x, z = rng.integers(road.start, road.stop), rng.integers(len(ground))
        w, h = rng.integers(8, 60), rng.integers(8, 100)
        ground[z : z + h, x : min(x + w, road.stop)] *= rng.uniform(0.72, 1.2)
    for _ in range(rng.integers(0, 10)):
        start = np.array([rng.integers(road.start, road.stop), rng.integers(len(ground))])
        steps = np.cumsum(rng.normal(0, 10, (12, 2)) + rng.normal(0, 8, 2), 0)
        cv2.polylines(ground, [(start + steps).astype(np.int32)], False, (45, 45, 46), 1)
    for _ in range(rng.integers(1, 9)):
        at = (int(rng.integers(road.start, road.stop)), int(rng.integers(len(ground))))
        cv2.ellipse(ground, at, (6, 3), 0, 0, 360, (60, 58, 58), -1)
    for a, b in zip(street.lanes, street.lanes[1:], strict=False):
        for x in (a + (b - a) * 0.25, a + (b - a) * 0.75):
            ground[:, _columns(x - 0.3, x + 0.3)] *= 0.94


def _mark(ground: NDArray[np.float32], street: Street, rng: np.random.Generator) -> None:
    """Lane lines, crossings, stop lines and rails."""
    white = np.full(3, rng.uniform(170, 240))
    yellow = np.array([225, 178, 60]) * rng.uniform(0.8, 1.05)
    dash, gap = rng.uniform(2, 4), rng.uniform(3, 8)
    for k, x in enumerate(street.lanes):
        edge = k in (0, len(street.lanes) - 1)
        if edge and rng.random() < 0.5:
            continue
        colour = yellow if x == street.lanes[len(street.lanes) // 2] and rng.random() < 0.5 else white
        solid = edge or (colour is yellow)
        for z in np.arange(0, street.length, street.length if solid else dash + gap):
            rows = slice(int(z * ALONG), int((z + (street.length if solid else dash)) * ALONG))
            ground[rows, _columns(x - 0.07, x + 0.07)] = colour
    if street.rails is not None:
        for x in (-0.72, 0.72):
            _band(ground, street.rails + x - 0.05, street.rails + x + 0.05, np.array([70, 66, 66]))
    for z in np.arange(rng.uniform(10, 40), street.length, rng.uniform(30, 70)):
        if not street.highway:
            for x in np.arange(street.left + 0.4, street.right - 0.4, 1.0):
                ground[int(z * ALONG) : int((z + 3) * ALONG), _columns(x, x + 0.5)] = white
            ground[int((z - 1.6) * ALONG) : int((z - 1.2) * ALONG), _columns(0, street.right)] = white


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


FACADES: tuple[Colour, ...] = (
    (168, 120, 96), (140, 84, 66), (190, 176, 150), (206, 200, 188), (150, 150, 152), (112, 112, 118),
    (210, 190, 140), (176, 150, 130), (98, 84, 76), (220, 214, 208), (130, 140, 148),
)  # fmt: skip


def make_houses(street: Street, rng: np.random.Generator) -> tuple[House, ...]:
    """Line both sides with houses, or a highway with walls and hedges."""
    houses = []
    for side, kerb in ((-1, street.left - street.walk), (1, street.right + street.walk)):
        z, back = -10.0, rng.uniform(0.2, 4)
        while z < street.length + 40:
            long = rng.uniform(6, 22)
            if rng.random() < (0.75 if street.highway else 0.9):
                low = street.highway or rng.random() < 0.12
                high = rng.uniform(0.8, 2.6) if low else rng.uniform(4, 22)
                x = kerb + side * (back + rng.uniform(0, 0.6))
                houses.append(_make_house(x, (z, z + long), high, rng, plain=low))
            z += long + (rng.uniform(0, 6) if rng.random() < 0.3 else 0.05)
    return tuple(houses)


def _make_house(
    x: float, z: tuple[float, float], high: float, rng: np.random.Generator, *, plain: bool
) -> House:
    colour = FACADES[rng.integers(len(FACADES))]
    if plain and rng.random() < 0.6:
        colour = (70, 96, 50)
    windows = np.zeros((0, 4, 3)) if plain else _windows(x, z, high, rng)
    tone = rng.uniform(0.5, 1.35)
    return House(
        x=x, z=z, high=high, colour=colour,
        trim=tuple((np.array(colour) * tone).clip(0, 245).tolist()),
        glass=tuple(rng.uniform(20, 110) * np.array([0.9, 1, 1.12])),
        windows=windows, lit=rng.random(len(windows)) < 0.3,
        patch=make_patch(rng, rough=0.12 if not plain else 0.3, shade=0.08),
    )  # fmt: skip


def _windows(x: float, z: tuple[float, float], high: float, rng: np.random.Generator) -> Floats:
    """Corners of the windows of a facade: shops on the ground, rows above; (K, 4, 3)."""
    floor, step = rng.uniform(2.8, 3.6), rng.uniform(1.6, 3.2)
    w, h = step * rng.uniform(0.4, 0.75), floor * rng.uniform(0.45, 0.7)
    rows = [(1.0 + k * floor, h, step, w) for k in range(1, int(high / floor))]
    rows.append((0.4, floor * 0.75, step * 2, step * rng.uniform(1.2, 1.8)))
    quads = []
    for y, tall, pitch, wide in rows:
        for a in np.arange(z[0] + 0.5, z[1] - wide - 0.3, pitch):
            quads.append([(x, y, a), (x, y, a + wide), (x, y + tall, a + wide), (x, y + tall, a)])
    return np.array(quads).reshape(-1, 4, 3)


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
    """Paint sky, ground and houses; what was on the canvas is gone."""
    camera, (height, width) = canvas.camera, canvas.pixels.shape[:2]
    horizon = int(np.clip(camera.horizon, 0, height))
    _paint_sky(canvas, scenery.sky, horizon, width)
    _paint_ground(canvas, scenery.ground, horizon)
    far = sorted(scenery.houses, key=lambda h: -max(h.z[0] - camera.z, -5))
    for k, house in enumerate(h for h in far if h.z[1] > camera.z + 1):
        _paint_house(canvas, house, FIRST_HOUSE + k % 50)
    canvas.pixels[..., 3] = 0


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
    """Map the ground picture through the camera at half resolution and enlarge it."""
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


def _ground_map(camera: Camera) -> Floats:
    """Homography from ground picture pixels to canvas pixels, (3, 3)."""
    cos, sin = math.cos(camera.yaw), math.sin(camera.yaw)
    forward = np.array([sin, cos, -sin * camera.x - cos * camera.z])
    across = np.array([cos, -sin, -cos * camera.x + sin * camera.z])
    u = camera.centre * forward + camera.focal * across
    v = camera.horizon * forward + np.array([0, 0, camera.focal * camera.height])
    metres = np.array([[1 / ACROSS, 0, -GROUND_X], [0, 1 / ALONG, 0], [0, 0, 1]])
    return np.stack([u, v, forward]) @ metres


def _paint_house(canvas: Canvas, house: House, number: int) -> None:
    camera, light = canvas.camera, canvas.light
    x, (z1, z2), h = house.x, house.z, house.high
    deep = x + math.copysign(9, x)
    depth = max(2.0, (z1 + z2) / 2 - camera.z)
    canvas.begin()
    end = np.array([(x, 0, z1), (deep, 0, z1), (deep, h, z1), (x, h, z1)])
    front = np.array([(x, 0, z1), (x, 0, z2), (x, h, z2), (x, h, z1)])
    facing = 1.0 if light.sun[0] * x < 0 else 0.75
    canvas.polygon(camera.view(end), light.tint(house.colour, depth, 0.7 * _lit(light.ambient)), number)
    canvas.polygon(camera.view(front), light.tint(house.colour, depth, facing * _lit(light.ambient)), number)
    band = front.copy()
    band[:2, 1] = h - 0.5
    canvas.polygon(camera.view(band), light.tint(house.trim, depth, facing * _lit(light.ambient)), number)
    canvas.texture(number, house.patch)
    _paint_windows(canvas, house, number, depth)


def _lit(ambient: float) -> float:
    return 0.55 + 0.45 * ambient


def _paint_windows(canvas: Canvas, house: House, number: int, depth: float) -> None:
    if not len(house.windows):
        return
    view = canvas.camera.view(house.windows.reshape(-1, 3))
    near = view[:, 2].reshape(-1, 4).min(1)
    view[:, 2] = view[:, 2].clip(NEAR, None)
    corners = canvas.camera.pixels(view).reshape(-1, 4, 2)
    wide = np.abs(corners[:, 1, 0] - corners[:, 0, 0])
    glass = canvas.light.tint(house.glass, depth)
    lamp: Colour = (250, 214, 140) if canvas.light.night else glass
    for k in np.flatnonzero((near > NEAR) & (wide >= 2)):
        canvas.fill(corners[k], lamp if house.lit[k] else glass, number)


def paint_prop(canvas: Canvas, prop: Prop) -> None:
    """Paint one prop; it hides what is behind it."""
    x, z, h = prop.pose.x, prop.pose.z, prop.high
    if prop.kind == "tree":
        canvas.limb((x, 0, z), (x, h * 0.7, z), (0.28, 0.18), (74, 58, 46), 0)
        g = 0.6 + prop.colour[0] / 400
        step = 1 + int((z - canvas.camera.z) / 16)  # fewer leaves far away
        for bx, by, bz, size, shade in prop.blobs[::step].tolist():
            at = (x + bx, by, z + bz)
            canvas.limb(at, at, (size * step**0.4,) * 2, (72 * shade * g, 104 * shade, 46 * shade), 0)
        darken(canvas, _disc(x, z, h * 0.3), 0.75)
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
