"""A synthetic drive as a clip, with exact masks and persistent ids."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcan_model.data.clips import Clip, ClipFrame
from pcan_model.data.datasets.scalabel import write_clip
from pcan_model.data.formats.labels import FrameLabels, labelled
from pcan_model.synthetic.canvas import NEAR, SUPERSAMPLE, Canvas, Light, PinholeCamera
from pcan_model.synthetic.ground import Street, make_ground
from pcan_model.synthetic.houses import make_houses
from pcan_model.synthetic.photo import Drive, develop, make_drive, make_light
from pcan_model.synthetic.scene import (
    Prop,
    Scenery,
    make_props,
    make_sky,
    paint_prop,
    paint_scene,
)  # fmt: skip
from pcan_model.synthetic.world import Actor, make_street, populate

VISIBLE_MIN = 20  # pixels; objects with fewer visible pixels are background
NUMBERS = 198  # limit of canvas ids for actors in a frame
RATE = 5.0  # frames per second, as labelled in BDD100K; speeds of a drive are per frame at this rate
FARTHEST = 75.0  # metres; actors farther away are not drawn


class SyntheticDrive(Clip):
    """A clip rendered frame by frame; the same seed gives the same pixels.

    Drives of one seed and as many seconds show the same street at any rate (frames per second).
    """

    def __init__(
        self, seed: int, length: int = 12, height: int = 384, width: int = 640, *, rate: float = RATE
    ) -> None:
        if length < 1 or height < 32 or width < 32 or not rate > 0:
            raise ValueError(
                "SyntheticDrive: expected length >= 1, size >= 32 and rate > 0, "
                f"got {(length, height, width)} and {rate}"
            )
        self.name = f"synthetic_{seed:06d}"
        self.rate = rate
        self.labelled = True
        self._seed, self._length, self._size = seed, length, (height, width)

    def __len__(self) -> int:
        return self._length

    def read(self, index: int) -> ClipFrame:
        """Render one frame."""
        self._check_index(index, self._length)
        rng = np.random.default_rng((self._seed, 1 + index))
        moment = index * self._step
        canvas = self._canvas(moment, rng)
        paint_scene(canvas, self._world.scenery)
        shown = self._world.paint(canvas, moment)
        image, numbers = develop(canvas, self._world.drive, rng)
        return self._frame(index, image, _label(numbers, shown))

    @property
    def _step(self) -> float:
        """Return how many frames of RATE lie from one frame to the next."""
        return RATE / self.rate

    @cached_property
    def _world(self) -> World:
        return make_world(np.random.default_rng((self._seed, 0)), self._length * self._step, self._size)

    def _canvas(self, moment: float, rng: np.random.Generator) -> Canvas:
        world, (height, width) = self._world, self._size
        drive, scale = world.drive, SUPERSAMPLE
        yaw = drive.turn * (moment - self._length * self._step / 2)
        shake = rng.normal(0, drive.shake, 2) * scale
        camera = PinholeCamera(
            focal=drive.focal * width * scale,
            centre=width * scale / 2 + shake[0],
            horizon=drive.horizon * height * scale + shake[1],
            height=drive.height,
            x=math.sin(yaw) * drive.speed * moment * 0.5,
            z=drive.speed * moment,
            yaw=yaw,
        )
        return Canvas(np.zeros((height * scale, width * scale, 4), np.uint8), camera, world.light)


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Everything sampled once per drive."""

    drive: Drive
    light: Light
    street: Street
    scenery: Scenery
    actors: tuple[Actor, ...]

    def paint(self, canvas: Canvas, moment: float) -> list[tuple[int, int]]:
        """Paint actors and props over the scene; returns (label, id) of numbers 1, 2, …

        moment  time in frames of RATE
        """
        poses = [(a.pose(moment), a) for a in self.actors]
        ahead = [(_depth(canvas.camera, pose.x, pose.z, a.reach[1]), a) for pose, a in poses]
        actors = [(d, a) for d, a in ahead if NEAR - 14 < d < FARTHEST]
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


def _label(numbers: NDArray[np.uint8], shown: list[tuple[int, int]]) -> FrameLabels:
    """Keep objects with enough visible pixels; the others become background."""
    count = np.bincount(numbers.ravel(), minlength=len(shown) + 1)[1:]
    kept = np.flatnonzero(count >= VISIBLE_MIN)
    table = np.zeros(256, np.int16)
    table[kept + 1] = np.arange(1, len(kept) + 1)
    labels, ids = np.array([*shown, (0, 0)], np.int64).T
    return labelled(table[numbers], labels[kept].tolist(), ids[kept].tolist())


def write_drives(
    root: Path,
    seeds: range,
    *,
    length: int = 12,
    height: int = 384,
    width: int = 640,
    rate: float = RATE,
) -> None:
    """Render drives to disk in the layout of `read_clips`; existing ones are kept."""
    for seed in seeds:
        drive = SyntheticDrive(seed, length, height, width, rate=rate)
        if not (Path(root) / "labels" / f"{drive.name}.json").exists():
            write_clip(root, drive.name, (drive.frame(i) for i in range(length)))
