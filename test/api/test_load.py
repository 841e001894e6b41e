"""A model is loaded by a name and tracks whatever shows images, in a few lines of Python."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support import turning
from support.bags import drive, write_bag
from support.squares import export_squares
from support.squares_footage import FRAMES, drawn, images, write_images
from support.videos import cut_off, write_video

import pcan_model
from pcan_model.api.load import VideoTracker
from pcan_model.core.structures import CameraPlace, Frame
from pcan_model.inference.errors import ModelError
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.tracking.admission_text import AdmissionError
from pcan_model.tracking.pace import Pace
from pcan_model.tracking.tracker import Tracker


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture(scope="module")
def tracker(squares: Path) -> VideoTracker:
    return pcan_model.load(squares, backend="onnxruntime", threads=1)


def test_importing_the_package_imports_no_numpy() -> None:
    code = "import sys, pcan_model; assert not {'numpy', 'cv2', 'torch'} & set(sys.modules); pcan_model.load"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_what_the_package_has_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'unload'"):
        _ = pcan_model.unload


def test_images_in_memory_are_tracked(tracker: VideoTracker) -> None:
    found = list(tracker.track(images()))
    assert [frame.labels for frame in found] == [("car", "pedestrian")] * FRAMES
    assert [frame.ids.tolist() for frame in found] == [[1, 2]] * FRAMES
    assert [frame.time for frame in found] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert all(np.array_equal(frame.image, drawn(frame.index)) for frame in found)


def test_a_generator_and_frames_with_times_of_their_own_are_tracked(tracker: VideoTracker) -> None:
    def camera() -> Iterator[Frame]:
        for index, image in enumerate(images()):
            yield Frame(np.ascontiguousarray(image[..., ::-1]), 50.0 + index, "bgr")

    found = list(tracker.track(camera()))
    assert [frame.time for frame in found] == [50, 51, 52, 53]
    assert [len(frame) for frame in found] == [2] * FRAMES, "colours in the order that the frame names"


def test_a_folder_and_one_image_are_tracked(tracker: VideoTracker, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "drive", first=7)
    found = list(tracker.track(folder))
    assert [(frame.index, frame.name) for frame in found] == [(k, f"{k + 7:06d}.png") for k in range(FRAMES)]
    assert [len(frame) for frame in tracker.track(str(folder / "000007.png"))] == [2]


def test_a_video_begins_at_0_and_one_that_was_cut_off_warns(tracker: VideoTracker, tmp_path: Path) -> None:
    path = cut_off(write_video(tmp_path / "v.avi", "MJPG"), 0.5)
    with pytest.warns(UserWarning, match=r"v\.avi: ended after"):
        found = list(tracker.track(path))
    assert [frame.time for frame in found[:3]] == pytest.approx([0, 0.04, 0.08])


def test_a_bag_is_tracked_with_its_own_times(tracker: VideoTracker, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", drive([40.0, 40.1, 40.2]))
    found = list(tracker.track(bag))
    assert [frame.time for frame in found] == pytest.approx([40.0, 40.1, 40.2])
    assert [frame.labels for frame in found] == [("car",)] * 3


def test_every_call_begins_anew(tracker: VideoTracker) -> None:
    for _ in range(2):
        assert next(tracker.track(images())).ids.tolist() == [1, 2]


def test_the_network_runs_on_every_second_image(squares: Path) -> None:
    engine = OnnxEngine(squares, 1)
    config = replace(engine.config.tracker, motion="kalman", camera_motion=True)
    found = list(VideoTracker(Tracker(engine, config), Pace(interval=2)).track(images()))

    assert [frame.tracks.kind.value for frame in found] == ["key", "propagated"] * (FRAMES // 2)
    assert [frame.ids.tolist() for frame in found] == [[1, 2]] * FRAMES


def test_frames_may_tell_where_the_camera_is(squares: Path) -> None:
    engine = OnnxEngine(squares, 1)
    config = replace(engine.config.tracker, motion="kalman", gate=13.3)
    places = [CameraPlace(turning.base(k) @ turning.MOUNTED, turning.CAMERA) for k in range(4)]

    def ids(places: Sequence[CameraPlace | None]) -> list[list[int]]:
        frames = [
            Frame(turning.view(k), stamp, place=place)
            for k, (stamp, place) in enumerate(zip(turning.STAMPS, places, strict=True))
        ]
        return [frame.ids.tolist() for frame in VideoTracker(Tracker(engine, config), Pace()).track(frames)]

    assert ids(places) == [[1]] * 4
    assert ids([None] * 4) == [[1], [2], [1], [2]]


def test_only_wanted_classes_and_regions_are_tracked(squares: Path) -> None:
    def labels(**options: object) -> tuple[str, ...]:
        loaded = pcan_model.load(squares, backend="onnxruntime", threads=1, **options)  # type: ignore[arg-type]
        return next(loaded.track(images())).labels

    assert labels(classes=["car"]) == ("car",)
    assert labels(region="0,0 48,0 48,64 0,64") == ("car",)
    assert labels(ignore="0,0 48,0 48,64 0,64") == ("pedestrian",)


def test_wrong_options_are_named(squares: Path) -> None:
    with pytest.raises(ModelError, match=r"key_interval: expected 1 .*camera_motion is false"):
        pcan_model.load(squares, backend="onnxruntime", key_interval=2)
    with pytest.raises(AdmissionError, match=r"classes: expected classes of pedestrian, .* got 'lorry'"):
        pcan_model.load(squares, classes=["lorry"])
    with pytest.raises(AdmissionError, match=r"region: expected 3 corners or more .* got '1,2'"):
        pcan_model.load(squares, region="1,2")
    with pytest.raises(ModelError, match="backend: expected one of"):
        pcan_model.load(squares, backend="abacus")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("no.mp4", "no.mp4: path: expected a data set, a folder of images or a video, got nothing there"),
        ([np.zeros((3, 4), np.uint8)], r"image: expected \(H, W, 3\) uint8"),
    ],
)
def test_what_cannot_be_tracked_is_named(
    tracker: VideoTracker, source: str | list[NDArray[np.uint8]], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        list(tracker.track(source))
