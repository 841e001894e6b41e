"""Label Studio's JSON: brush masks, polygons and boxes of images, boxes of tracks, written and read back."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.squares import export_squares
from support.squares_footage import FRAMES, images, write_images

import pcan_model
from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.data.formats.label_studio_rle import decode_rle, encode_rle
from pcan_model.data.registry import open_clips
from pcan_model.evaluation.recording import Recording
from pcan_model.evaluation.track_files import Target, write_tracks

SIZE = (20, 40)
MASKS = arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.integers(0, 1))


@given(MASKS)
def test_a_mask_comes_back_from_its_run_lengths(mask: np.ndarray) -> None:
    assert np.array_equal(decode_rle(encode_rle(mask), mask.shape), mask)


def test_long_runs_are_split() -> None:
    mask = np.ones((300, 400), np.uint8)  # 480,000 values, where a run holds at most 65,536
    assert np.array_equal(decode_rle(encode_rle(mask), mask.shape), mask)


@pytest.fixture(scope="module")
def theirs() -> ModuleType:
    """Return the converter of Label Studio's SDK, without the packages that it does not need for masks."""
    spec = importlib.util.find_spec("label_studio_sdk")
    if spec is None or not spec.origin:
        pytest.skip("needs label-studio-sdk (pip install --no-deps label-studio-sdk)")
    file = Path(spec.origin).parent / "converter" / "brush.py"
    found = importlib.util.spec_from_file_location("brush", file)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_run_lengths_are_those_of_label_studio(theirs: ModuleType) -> None:
    mask = (np.random.default_rng(0).random((30, 50)) < 0.4).astype(np.uint8)
    mask[5:20] = 1
    assert np.array_equal(theirs.decode_rle(encode_rle(mask)).reshape(30, 50, 4)[..., 3], 255 * mask)
    assert np.array_equal(decode_rle(theirs.mask2rle(255 * mask), mask.shape), mask)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([0, 0, 0, 4], "64 values, four for each pixel; the run lengths have 4"),
        (encode_rle(np.ones((4, 4)))[:-1], "cut off"),
        ([], "cut off"),
    ],
)
def test_run_lengths_that_do_not_fit_are_refused(data: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_rle(data, (4, 4))


def region(kind: str, value: dict[str, Any], identity: str = "a1b2", label: str = "car") -> dict[str, Any]:
    sizes = {"original_width": SIZE[1], "original_height": SIZE[0]}
    return {"id": identity, "type": kind, "value": value | {kind: [label]}} | sizes


def saved(root: Path, tasks: list[dict[str, Any]], *names: str) -> Path:
    (root / "images").mkdir(parents=True)
    for name in names:
        cv2.imwrite(str(root / "images" / name), np.zeros((*SIZE, 3), np.uint8))
    (root / "label_studio.json").write_text(json.dumps(tasks))
    return root


def task(image: str, *regions: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"data": {"image": image}, "annotations": [{"result": list(regions)}]} | others


def test_masks_polygons_and_boxes_of_images_are_read(tmp_path: Path) -> None:
    mask = np.zeros(SIZE, np.uint8)
    mask[2:6, 3:9] = 1
    brush = region("brushlabels", {"format": "rle", "rle": encode_rle(mask)}, "track_7")
    points = [[50.0, 0.0], [75.0, 0.0], [75.0, 50.0], [50.0, 50.0]]
    polygon = region("polygonlabels", {"points": points}, label="lorry")
    box = region("rectanglelabels", {"x": 10.0, "y": 20.0, "width": 25.0, "height": 50.0})
    relation = {"type": "relation", "from_id": "a", "to_id": "b"}
    tasks = [
        task("/data/upload/3/0a1b2c3d-1.png", brush, polygon, relation),
        task("http://host/2.png?x=1", box),
    ]
    (clip,) = open_clips(saved(tmp_path / "set", tasks, "1.png", "2.png", "3.png"))
    assert [clip.file_name(k) for k in range(len(clip))] == ["1.png", "2.png"], "without the one nobody saw"
    first, second = clip.labels(0), clip.labels(1)
    assert np.array_equal(first.masks()[0], mask.astype(bool)) and CLASSES[first.labels[0]] == "car"
    assert (first.index == -1).sum() == 10 * 10, "a class that is not known is ignored"
    assert second.boxed.all() and second.boxes.tolist() == [[4, 4, 14, 14]]


def test_cancelled_annotations_do_not_count_and_predictions_only_without_others(tmp_path: Path) -> None:
    box = {"x": 0.0, "y": 0.0, "width": 25.0, "height": 50.0}
    cancelled = {"was_cancelled": True, "result": [region("rectanglelabels", box)]}
    predicted = [{"result": [region("rectanglelabels", box)] * 1}]
    tasks = [
        {"data": {"image": "1.png"}, "annotations": [cancelled], "predictions": predicted},
        {"data": {"image": "2.png"}, "annotations": [cancelled, {"result": []}], "predictions": predicted},
    ]
    (clip,) = open_clips(saved(tmp_path / "set", tasks, "1.png", "2.png"))
    assert [len(clip.labels(k)) for k in range(2)] == [1, 0]


def test_boxes_of_a_video_lie_on_a_line_between_key_frames(tmp_path: Path) -> None:
    def key(frame: int, x: float, *, enabled: bool) -> dict[str, Any]:
        return {"frame": frame, "x": x, "y": 0.0, "width": 50.0, "height": 50.0, "enabled": enabled}

    sequence = [key(1, 0.0, enabled=True), key(3, 50.0, enabled=False), key(5, 10.0, enabled=True)]
    value = {"sequence": sequence, "framesCount": 6, "labels": ["car"]}
    tasks = [
        {
            "data": {"video": "d.mp4"},
            "annotations": [{"result": [{"id": "t", "type": "videorectangle", "value": value}]}],
        }
    ]
    (clip,) = open_clips(saved(tmp_path / "set", tasks, *(f"{k}.png" for k in range(6))))
    boxes = [clip.labels(k).boxes[:, 0].tolist() for k in range(6)]
    assert boxes == [[0], [10], [20], [], [4], [4]]


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({"a": 1}, "expected a JSON export of Label Studio"),
        ([{"data": {}}], "data: expected image or video"),
        ([task("9.png")], "9.png: expected an image in images/"),
        (
            [task("1.png", region("brushlabels", {"rle": [1, 2]}))],
            "region a1b2: brushlabels: expected more bytes",
        ),
        ([task("1.png", region("rectanglelabels", {"x": "left"}))], "expected 4 finite numbers"),
    ],
)
def test_what_does_not_fit_is_named(tasks: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        open_clips(saved(tmp_path / "set", tasks, "1.png"))[0].labels(0)


@pytest.mark.parametrize("kind", ["label_studio", "label_studio_video"])
def test_tracks_that_were_written_come_back(kind: str, tmp_path: Path) -> None:
    model = export_squares(tmp_path / "squares")
    frames = list(pcan_model.load(model, backend="onnxruntime", threads=1).track(images()))
    write_images(tmp_path / "set" / "images")
    names = [f"{k:06d}.png" for k in range(FRAMES)]
    with write_tracks(
        [Target(kind, tmp_path / "set" / "label_studio.json")], Recording("squares", CLASSES)
    ) as add:
        for frame, name in zip(frames, names, strict=True):
            object.__setattr__(frame, "name", name)
            add(frame)
    (clip,) = open_clips(tmp_path / "set")
    for index, frame in enumerate(frames):
        labels = clip.labels(index)
        order = np.argsort(labels.ids)
        assert labels.ids[order].tolist() == frame.ids.tolist()
        assert labels.labels[order].tolist() == frame.class_ids.tolist()
        if kind == "label_studio":
            assert np.array_equal(labels.masks()[order], frame.masks)
        else:
            np.testing.assert_allclose(labels.boxes[order], frame.boxes, atol=1e-3)
