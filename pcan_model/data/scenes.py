"""Ground truth in three dimensions: where camera and objects are, with depth and lidar, and its files.

Below the folder of a labelled data set, beside `images/` and `labels/`, for each clip NAME:

    geometry/NAME.json         camera, poses, and the boxes of all objects before the camera
    depth/NAME/000000.png      16 bits, metres x 256, 0: not measured (as KITTI's depth)
    velodyne/NAME/000000.bin   float32 x y z reflectance, in the lidar's frame (as KITTI's)

docs/reference/data-formats.md describes geometry/NAME.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError, shown
from pcan_model.core.numbers import finite, whole
from pcan_model.core.space import Box3D, Pinhole, Pose
from pcan_model.data.formats.reading import read_json

PER_METRE = 256.0  # values of a depth image per metre
FARTHEST = (2**16 - 1) / PER_METRE  # metres that fit


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Geometry of one frame; the map frame is fixed to the street, with z = 0 on the ground."""

    time: int  # capture time, nanoseconds
    camera: Pinhole  # as calibrated; vibration moves the true principal point
    base: Pose  # of base_link, the ground below the camera, in the map frame
    optical: Pose  # of the camera's optical frame in base_link
    lidar: Pose  # of the lidar in base_link
    objects: tuple[Box3D, ...]  # in the map frame; visible or not
    depth: NDArray[np.float32]  # (H, W) metres along the optical axis, NaN: not measured
    points: NDArray[np.float32]  # (P, 3) metres, in the lidar's frame

    @property
    def camera_in_map(self) -> Pose:
        """Return the pose of the optical frame in the map frame."""
        return self.base @ self.optical


def write_scenes(root: Path, name: str, scenes: Iterable[Scene], names: Sequence[str] = CLASSES) -> None:
    """Write the scenes of a clip, at least one; the JSON file last."""
    frames, first = [], None
    for index, scene in enumerate(scenes):
        first = first or scene
        _write_depth(root / "depth" / name / f"{index:06d}.png", scene.depth)
        rows = np.concatenate([scene.points, np.zeros((len(scene.points), 1))], axis=1)
        write_bytes(root / "velodyne" / name / f"{index:06d}.bin", rows.astype("<f4").tobytes())
        objects = [_object(box, names) for box in scene.objects]
        frames.append({"time": scene.time, "base_in_map": _pose(scene.base), "objects": objects})
    assert first is not None
    camera = {key: getattr(first.camera, key) for key in ("fx", "fy", "cx", "cy", "height", "width")}
    mounted = {"camera_in_base": _pose(first.optical), "lidar_in_base": _pose(first.lidar)}
    content = {"camera": camera, **mounted, "frames": frames}
    write_bytes(root / "geometry" / f"{name}.json", json.dumps(content).encode())


def has_scenes(root: Path, name: str) -> bool:
    """Return whether a clip of a data set has geometry."""
    return (root / "geometry" / f"{name}.json").is_file()


class Scenes:
    """The scenes of a clip on disk; depth and points are read on demand."""

    def __init__(self, root: Path, name: str, names: Sequence[str] = CLASSES) -> None:
        self._root, self._name, self._names = root, name, names
        self._file = root / "geometry" / f"{name}.json"
        content = read_json(self._file, "the geometry of a clip")
        self.camera = self._camera(self._part(content, "camera", dict))
        self._optical = self._read_pose(content, "camera_in_base")
        self._lidar = self._read_pose(content, "lidar_in_base")
        self._frames: list[Any] = self._part(content, "frames", list)

    def __len__(self) -> int:
        return len(self._frames)

    def read(self, index: int) -> Scene:
        """Read a frame; raises DataError if it is missing or invalid, IndexError beyond the end."""
        frame, where = self._frames[index], f"frames[{index}]"
        time = whole(self._part(frame, "time", (int, float), where))
        if time is None:
            raise DataError(self._file, f"{where}.time", "nanoseconds", shown(frame["time"]))
        objects = self._part(frame, "objects", list, where)
        boxes = tuple(self._box(entry, f"{where}.objects[{k}]") for k, entry in enumerate(objects))
        depth = read_depth(self._root / "depth" / self._name / f"{index:06d}.png")
        size = self.camera.height, self.camera.width
        if depth.shape != size:
            raise DataError(self._file, f"depth {index}", f"{size} like the camera", depth.shape)
        points = read_points(self._root / "velodyne" / self._name / f"{index:06d}.bin")
        base = self._read_pose(frame, "base_in_map", where)
        return Scene(time, self.camera, base, self._optical, self._lidar, boxes, depth, points)

    def _part(self, record: Any, key: str, kind: Any, where: str = "") -> Any:
        value = record.get(key) if isinstance(record, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            raise DataError(self._file, f"{where}.{key}".lstrip("."), "this key", shown(value))
        return value

    def _camera(self, entry: dict[str, Any]) -> Pinhole:
        try:
            return Pinhole(**entry)
        except (TypeError, ValueError) as error:
            raise DataError(self._file, "camera", "fx, fy, cx, cy, height and width", error) from error

    def _read_pose(self, record: Any, key: str, where: str = "") -> Pose:
        entry = self._part(record, key, dict, where)
        where = f"{where}.{key}".lstrip(".")
        return Pose.from_quaternion(
            self._numbers(entry, "translation", 3, where), self._numbers(entry, "quaternion", 4, where)
        )

    def _numbers(self, entry: dict[str, Any], key: str, count: int, where: str) -> NDArray[np.float64]:
        values = [finite(value) for value in self._part(entry, key, list, where)]
        if len(values) != count or None in values:
            raise DataError(self._file, f"{where}.{key}", f"{count} finite numbers", shown(entry[key]))
        return np.array(values, np.float64)

    def _box(self, entry: Any, where: str) -> Box3D:
        identity, name = self._part(entry, "id", int, where), self._part(entry, "class", str, where)
        if name not in self._names:
            raise DataError(self._file, f"{where}.class", f"one of {list(self._names)}", shown(name))
        centre, size, velocity = (
            self._numbers(entry, key, 3, where) for key in ("centre", "size", "velocity")
        )
        yaw = finite(self._part(entry, "yaw", (int, float), where))
        if yaw is None:
            raise DataError(self._file, f"{where}.yaw", "radians", shown(entry["yaw"]))
        return Box3D(identity, self._names.index(name), 1.0, centre, size, yaw, velocity)


def _object(box: Box3D, names: Sequence[str]) -> dict[str, Any]:
    return {
        "id": box.track_id,
        "class": names[box.label],
        "centre": _rounded(box.centre),
        "size": _rounded(box.size),
        "yaw": round(box.yaw, 6),
        "velocity": _rounded(box.velocity),
    }


def _pose(pose: Pose) -> dict[str, list[float]]:
    return {"translation": _rounded(pose.translation), "quaternion": pose.quaternion.tolist()}


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(float(value), 6) for value in values]


def _write_depth(path: Path, depth: NDArray[np.float32]) -> None:
    with np.errstate(invalid="ignore"):
        known = np.where((depth > 0) & (depth <= FARTHEST), depth, 0)
    values = np.rint(known * PER_METRE).astype(np.uint16)
    write_bytes(path, cv2.imencode(".png", values)[1].tobytes())


def read_depth(path: Path) -> NDArray[np.float32]:
    """Return a depth image as metres, (H, W), NaN where it was not measured; raises DataError."""
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
    if values is None or values.dtype != np.uint16 or values.ndim != 2:
        raise DataError(path, "file", "a PNG of 16 bits", "none" if values is None else values.dtype)
    return np.where(values > 0, values / np.float32(PER_METRE), np.float32(np.nan)).astype(np.float32)


def read_points(path: Path) -> NDArray[np.float32]:
    """Return the points of a KITTI lidar file, (P, 3) metres; raises DataError."""
    data = path.read_bytes() if path.is_file() else None
    if data is None or len(data) % 16:
        raise DataError(path, "file", "rows of 16 bytes", "no such file" if data is None else len(data))
    return np.frombuffer(data, "<f4").reshape(-1, 4)[:, :3].astype(np.float32)
