"""A synthetic drive as a clip, with exact masks and persistent ids."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.space import OPTICAL, Box3D, Pinhole, Pose
from pcan_model.core.structures import CameraPlace
from pcan_model.data.clips import Clip, ClipFrame
from pcan_model.data.datasets.scalabel import write_clip
from pcan_model.data.formats.labels import FrameLabels, labelled
from pcan_model.data.scenes import Scene, has_scenes, write_scenes
from pcan_model.synthetic.canvas import SUPERSAMPLE, Canvas, PinholeCamera
from pcan_model.synthetic.depth import paint_depth
from pcan_model.synthetic.extents import boxes
from pcan_model.synthetic.path import camera_path
from pcan_model.synthetic.photo import develop
from pcan_model.synthetic.sampled_world import World, make_world
from pcan_model.synthetic.scene import paint_scene
from pcan_model.synthetic.sensors import SensorNoise, base_pose, lidar_points, lidar_pose, measured_depth

VISIBLE_MIN = 20  # pixels; objects with fewer visible pixels are background
RATE = 5.0  # frames per second, as labelled in BDD100K; speeds of a drive are per frame at this rate


class SyntheticDrive(Clip):
    """A clip rendered frame by frame; the same seed gives the same pixels.

    Drives of one seed and as many seconds show the same street at any rate (frames per second). With
    `swing` the camera turns left and right, at most so many radians per second.
    """

    def __init__(
        self,
        seed: int,
        length: int = 12,
        height: int = 384,
        width: int = 640,
        *,
        rate: float = RATE,
        swing: float = 0.0,
    ) -> None:
        if length < 1 or height < 32 or width < 32 or not rate > 0:
            raise ValueError(
                "SyntheticDrive: expected length >= 1, size >= 32 and rate > 0, "
                f"got {(length, height, width)} and {rate}"
            )
        self.name = f"synthetic_{seed:06d}"
        self.rate = rate
        self.labelled = True
        self._seed, self._length, self._size, self._swing = seed, length, (height, width), swing / RATE

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

    def objects(self, index: int) -> tuple[Box3D, ...]:
        """Return the boxes of all objects before the camera in a frame, hidden or not, in the map frame."""
        self._check_index(index, self._length)
        moment = index * self._step
        camera = self._camera(moment, np.random.default_rng((self._seed, 1 + index)))
        actors = (actor for _, actor in self._world.ahead(camera, moment))
        return tuple(box for actor in actors for box in boxes(actor, moment, RATE))

    def place(self, index: int) -> CameraPlace:
        """Return where the camera is in a frame, as calibrated; the ground is at 0."""
        self._check_index(index, self._length)
        (height, width), drive = self._size, self._world.drive
        camera = self._camera(index * self._step, np.random.default_rng((self._seed, 1 + index)))
        focal = drive.focal * width
        pinhole = Pinhole(focal, focal, width / 2, drive.horizon * height, height, width)
        return CameraPlace(base_pose(camera) @ self._mounted, pinhole)

    @property
    def _mounted(self) -> Pose:
        """Return the pose of the optical frame in base_link."""
        return Pose(OPTICAL, np.array([0.0, 0.0, self._world.drive.height]))

    def scene(self, index: int, noise: float = 1.0) -> Scene:
        """Return the geometry of a frame, with what its depth camera and its lidar measure.

        noise  of the sensors: 1: as real ones, 0: none
        """
        self._check_index(index, self._length)
        (height, width), world, moment = self._size, self._world, index * self._step
        camera = self._camera(moment, np.random.default_rng((self._seed, 1 + index)))
        size = height * SUPERSAMPLE, width * SUPERSAMPLE
        exact = paint_depth(world, camera, moment, size, own_car=True)[::SUPERSAMPLE, ::SUPERSAMPLE]
        sensors = SensorNoise(np.random.default_rng((self._seed, 1 + index, 1)), noise)
        drive, focal = world.drive, world.drive.focal * width
        return Scene(
            time=self.time(index),
            camera=self.place(index).camera,
            base=base_pose(camera),
            optical=self._mounted,
            lidar=lidar_pose(drive.height),
            objects=self.objects(index),
            depth=measured_depth(exact, focal, sensors),
            points=lidar_points(world, camera, moment, sensors),
        )

    @property
    def _step(self) -> float:
        """Return how many frames of RATE lie from one frame to the next."""
        return RATE / self.rate

    @cached_property
    def _world(self) -> World:
        return make_world(np.random.default_rng((self._seed, 0)), self._length * self._step, self._size)

    def _canvas(self, moment: float, rng: np.random.Generator) -> Canvas:
        height, width = (side * SUPERSAMPLE for side in self._size)
        return Canvas(np.zeros((height, width, 4), np.uint8), self._camera(moment, rng), self._world.light)

    def _camera(self, moment: float, rng: np.random.Generator) -> PinholeCamera:
        """Return the camera of the canvas; the generator shakes it."""
        drive, (height, width), scale = self._world.drive, self._size, SUPERSAMPLE
        shake = rng.normal(0, drive.shake, 2) * scale
        x, z, yaw = camera_path(drive, moment, self._length * self._step, self._swing)
        return PinholeCamera(
            focal=drive.focal * width * scale,
            centre=width * scale / 2 + shake[0],
            horizon=drive.horizon * height * scale + shake[1],
            height=drive.height,
            x=x,
            z=z,
            yaw=yaw,
        )


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
    swing: float = 0.0,
    geometry: bool = False,
    noise: float = 1.0,
) -> None:
    """Render drives to disk in the layout of `read_clips`; existing ones are kept.

    geometry  also write the files of `pcan_model.data.scenes`
    """
    for seed in seeds:
        drive = SyntheticDrive(seed, length, height, width, rate=rate, swing=swing)
        if geometry and not has_scenes(Path(root), drive.name):
            write_scenes(Path(root), drive.name, (drive.scene(i, noise) for i in range(length)))
        if not (Path(root) / "labels" / f"{drive.name}.json").exists():
            write_clip(root, drive.name, (drive.frame(i) for i in range(length)))
