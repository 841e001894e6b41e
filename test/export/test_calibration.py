"""Calibration samples: images in the camera format, batches of several cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.rounded import BlockClip
from support.small import small_net

from pcan_model.core.engine import CameraFormat
from pcan_model.core.geometry import Letterbox
from pcan_model.export.calibration import ResizedClip, record
from pcan_model.export.camera_pass import with_camera_format
from pcan_model.export.samples import CalibrationSample, batch, for_cameras
from pcan_model.inference.torch_engine import TorchEngine
from pcan_model.model.pass_signature import grid_sample


def test_behind_a_letterbox_in_the_graph_samples_are_as_the_camera_sends_them(tmp_path: Path) -> None:
    net, sent = small_net(), CameraFormat(75, 150, "bgr")
    engine = TorchEngine(net, lambda net: with_camera_format(grid_sample(net), net.config, sent))
    clip = BlockClip(2, 5, sent.height, sent.width)
    files = record(engine, [clip], tmp_path, frames=4).frame
    images = [CalibrationSample((path,)).read()["image"] for path in files]
    assert [pixels.shape for pixels in images] == [(1, 75, 150, 3)] * 2
    np.testing.assert_array_equal(images[1][0], clip.images[1][..., ::-1])


def test_images_of_another_size_are_fitted_into_the_cameras(tmp_path: Path) -> None:
    clip = BlockClip(2, 5)
    sent = ResizedClip(clip, CameraFormat(64, 200))
    assert (sent.name, sent.rate, len(sent)) == (clip.name, clip.rate, 2)
    expected = Letterbox((128, 192), (64, 200)).apply(clip.images[1])
    np.testing.assert_array_equal(sent.frame(1).image, expected)


def save(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def test_every_camera_is_given_every_sample(tmp_path: Path) -> None:
    files = [
        save(tmp_path / f"{i}.npz", image=np.full((1, 2, 2, 3), i), valid=np.full(4, i)) for i in range(3)
    ]
    every = [sample.read() for sample in for_cameras(files, 2)]
    assert [arrays["image"][:, 0, 0, 0].tolist() for arrays in every] == [[0, 1], [1, 2], [2, 0]]
    assert every[0]["image"].shape == (2, 2, 2, 3) and every[0]["valid"].shape == (2, 4)
    assert all(arrays["remember"].tolist() == [1, 1] for arrays in every)
    assert [sorted(sample.read()) for sample in for_cameras(files, 1)] == [["image", "valid"]] * 3


def test_rows_of_a_camera_come_behind_those_of_the_cameras_before_it() -> None:
    camera = {"bank": np.zeros((5, 3)), "slot": np.array([4, 0]), "owner": np.array([1, 0, 0, 0, 1])}
    whole = batch([camera, camera])
    assert whole["bank"].shape == (10, 3)
    assert whole["slot"].tolist() == [4, 0, 4 + 5, 0 + 5]
    assert whole["owner"].tolist() == [1, 0, 0, 0, 1, 1 + 2, 2, 2, 2, 1 + 2]
