"""Geometry of the drive: depth, boxes and lidar agree with the masks, with each other, and on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pcan_model.core.errors import DataError
from pcan_model.core.space import Pose
from pcan_model.data.clips import LabeledFrame
from pcan_model.data.scenes import Scene, Scenes, write_scenes
from pcan_model.synthetic.drive import SyntheticDrive
from pcan_model.synthetic.sensors import SensorNoise, measured_depth

Seen = tuple[LabeledFrame, Scene]


@pytest.fixture(scope="module")
def seen() -> list[Seen]:
    """A frame each of two turning drives, with exact geometry."""
    drives = [SyntheticDrive(seed, 8, 192, 320, swing=0.3) for seed in (1, 5)]
    return [(drive.frame(6), drive.scene(6, noise=0.0)) for drive in drives]


def test_what_a_mask_covers_lies_in_the_box_of_its_object(seen: list[Seen]) -> None:
    for frame, scene in seen:
        boxes = {box.track_id: box for box in scene.objects}
        for mask, label, identity in zip(frame.masks, frame.labels, frame.ids, strict=True):
            rows, columns = np.nonzero(mask & np.isfinite(scene.depth))
            points = scene.camera.points(columns, rows, scene.depth[rows, columns])
            box = boxes[identity]
            own = Pose.planar(*box.centre[:2], box.yaw, box.centre[2])
            inside = np.abs(own.inverse().apply(scene.camera_in_map.apply(points))) <= box.size / 2 + 0.3
            assert box.label == label
            assert inside.all(1).mean() > 0.9


def test_depth_below_the_horizon_is_the_ground_where_nothing_stands(seen: list[Seen]) -> None:
    for _, scene in seen:
        rows, columns = np.nonzero(np.isfinite(scene.depth))
        heights = scene.camera_in_map.apply(scene.camera.points(columns, rows, scene.depth[rows, columns]))[
            :, 2
        ]
        assert np.quantile(heights, 0.01) > -0.15
        assert (np.abs(heights) < 0.15).mean() > 0.2


def test_the_lidar_sees_what_the_depth_camera_sees(seen: list[Seen]) -> None:
    for _, scene in seen:
        points = (scene.optical.inverse() @ scene.lidar).apply(scene.points)
        pixels = np.rint(scene.camera.project(points)).astype(int)
        size = scene.camera.width, scene.camera.height
        inside = (points[:, 2] > 1) & (pixels >= 0).all(1) & (pixels < size).all(1)
        column, row = pixels[inside].T
        apart = np.abs(scene.depth[row, column] - points[inside, 2]) / points[inside, 2]
        assert inside.sum() > 3000 and np.nanmedian(apart) < 0.02


def test_boxes_move_as_their_velocities_say() -> None:
    drive = SyntheticDrive(1, 8, 96, 160, rate=10)
    then = {box.track_id: box for box in drive.objects(4)}
    moved = [(box, then[box.track_id]) for box in drive.objects(2) if box.track_id in then]
    assert any(np.linalg.norm(box.velocity) > 1 for box, _ in moved)
    for box, after in moved:
        np.testing.assert_allclose(after.centre, box.centre + 0.2 * box.velocity, atol=1e-9)


def test_sensors_are_noisy_the_same_way_each_time_and_more_so_far_away(seen: list[Seen]) -> None:
    exact = seen[0][1]
    depth = np.where(np.isnan(exact.depth), np.inf, exact.depth)
    noisy, again = (measured_depth(depth, 300.0, SensorNoise(np.random.default_rng(4))) for _ in range(2))
    np.testing.assert_array_equal(noisy, again)
    error = np.abs(noisy - exact.depth)
    near, far = exact.depth < 8, (exact.depth > 25) & (exact.depth < 50)
    assert 0 < np.nanmedian(error[near]) < 0.1 < np.nanmedian(error[far]) < 3
    lost = np.isnan(noisy).mean() - np.isnan(exact.depth).mean()
    assert 0.02 < lost < 0.1
    points = SyntheticDrive(1, 8, 192, 320, swing=0.3).scene(6).points
    assert 0.8 < len(points) / len(exact.points) < 0.99


def test_scenes_come_back_from_their_files(tmp_path: Path, seen: list[Seen]) -> None:
    scene = seen[0][1]
    write_scenes(tmp_path, "clip", [scene, replace(scene, time=scene.time + 5)])
    scenes = Scenes(tmp_path, "clip")
    back = scenes.read(1)
    assert (len(scenes), back.time, back.camera) == (2, scene.time + 5, scene.camera)
    np.testing.assert_allclose(back.camera_in_map.rotation, scene.camera_in_map.rotation, atol=1e-5)
    np.testing.assert_allclose(back.camera_in_map.translation, scene.camera_in_map.translation, atol=1e-5)
    np.testing.assert_allclose(back.depth, scene.depth, atol=0.5 / 256 + 1e-4)
    np.testing.assert_array_equal(back.points, scene.points)
    for one, other in zip(back.objects, scene.objects, strict=True):
        assert (one.track_id, one.label) == (other.track_id, other.label)
        for name in ("centre", "size", "velocity", "yaw"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('"fx": ', '"fx": -', r"clip\.json: camera: expected fx"),
        ('"class": "car"', '"class": "cow"', r"objects\[\d+\]\.class: expected one of"),
        ('"velocity": [', '"velocity": [1, ', r"velocity: expected 3 finite numbers"),
        ('"base_in_map"', '"other"', r"frames\[0\]\.base_in_map: expected this key"),
        ('"time": ', '"time": 1e', r"frames\[0\]\.time: expected nanoseconds"),
    ],
)  # fmt: skip
def test_invalid_geometry_is_named(tmp_path: Path, seen: list[Seen], old: str, new: str, error: str) -> None:
    write_scenes(tmp_path, "clip", [seen[0][1]])
    file = tmp_path / "geometry/clip.json"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(DataError, match=error):
        Scenes(tmp_path, "clip").read(0)


def test_a_missing_depth_image_is_named(tmp_path: Path, seen: list[Seen]) -> None:
    write_scenes(tmp_path, "clip", [seen[0][1]])
    (tmp_path / "depth/clip/000000.png").unlink()
    with pytest.raises(DataError, match=r"000000\.png: file: expected a PNG of 16 bits, got none"):
        Scenes(tmp_path, "clip").read(0)
