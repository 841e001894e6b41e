"""`pcan-score` with damaged BDD100K files: the official value, or a one-line error."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from support.damage import damaged
from support.run_lengths import SIZE, run

from pcan_model.cli.score import score
from pcan_model.core.errors import DataError
from pcan_model.data.files import write_image

pytest.importorskip("trackeval", reason="pip install --no-deps trackeval==1.3.0")


def label(identity: Any, category: Any, x: int, **more: Any) -> dict[str, Any]:
    return {"id": identity, "category": category, "rle": run(x)} | more


def frame(time: Any, *labels: Any) -> dict[str, Any]:
    return {"name": f"{time}.jpg", "videoName": "v", "frameIndex": time, "labels": list(labels)}


DRIVE = [frame(t, label("1", "car", 3), label("2", "pedestrian", 20)) for t in range(2)]


@pytest.fixture
def bdd(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return what scores frames of Scalabel."""

    def scored(truth: Any, output: Any) -> dict[str, Any]:
        for name, data in (("truth", truth), ("said", output)):
            (tmp_path / f"{name}.json").write_text(json.dumps(data))
        return score("bdd100k", tmp_path / "truth.json", tmp_path / "said.json")["summary"]

    return scored


LEGACY = {"person": "pedestrian", "bike": "bicycle", "motor": "motorcycle", "van": "car", "caravan": "car"}


@pytest.mark.parametrize("name", LEGACY)
def test_legacy_names_are_the_classes_that_the_official_tool_makes_of_them(
    bdd: Callable[..., dict[str, Any]], name: str
) -> None:
    found = bdd([frame(0, label("1", name, 3))], [frame(0, label("5", LEGACY[name], 3))])

    assert (found["FP"], found["FN"], found["MOTA"]) == (0, 0, 100)


@pytest.mark.parametrize("name", ["other person", "other vehicle", "trailer"])
def test_ignored_names_are_ignored_regions(bdd: Callable[..., dict[str, Any]], name: str) -> None:
    truth = [frame(0, label("1", "car", 3), label("9", name, 30))]
    inside, outside = label("6", "bus", 30), label("6", "bus", 45)

    assert bdd(truth, [frame(0, label("1", "car", 3), inside)])["FP"] == 0
    assert bdd(truth, [frame(0, label("1", "car", 3), outside)])["FP"] == 1
    assert bdd(truth, [frame(0, label("1", "car", 3))])["FN"] == 0


def test_labels_with_boxes_only_do_not_count_with_a_warning(
    bdd: Callable[..., dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    box = {"id": "9", "category": "car", "box2d": {"x1": 1, "y1": 1, "x2": 9, "y2": 9}}
    found = bdd([frame(0, label("1", "car", 3), box)], [frame(0, label("1", "car", 3))])

    assert (found["FP"], found["FN"]) == (0, 0)
    assert "truth.json: 0.jpg: label 9: rle: expected a mask (run lengths), got none in 1 of 2" in caplog.text
    with pytest.raises(DataError, match=r"said\.json: 0\.jpg: label 9: rle: expected a mask"):
        bdd(DRIVE, [frame(0, box)])
    with pytest.raises(DataError, match=r"truth\.json: 0\.jpg: label 9: rle: expected a mask"):
        bdd([frame(0, box)], DRIVE[:1])


@pytest.mark.parametrize("identity", [10**8, 3 * 10**9, "9" * 40, "a-1", 0, 7.0])
def test_any_identity_is_renumbered(bdd: Callable[..., dict[str, Any]], identity: Any) -> None:
    output = [frame(t, label(identity, "car", 3), label("2", "pedestrian", 20)) for t in range(2)]

    assert bdd(DRIVE, output) == bdd(DRIVE, DRIVE)


def test_a_video_without_results_is_missed_with_one_warning(
    bdd: Callable[..., dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    other = [entry | {"videoName": "w"} for entry in DRIVE]

    assert bdd(DRIVE + other, DRIVE)["FN"] == 4
    assert "said.json: w: expected the video's frames, got none: all its objects" in caplog.text


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            [frame(0, label("1", "car", 3) | {"rle": run(3, (12, 30))})],
            r"said.json: 0.jpg: label 1: rle.size: expected that of the labels \(24, 60\), got \[12, 30\]",
        ),
        ([frame(0, label("1", "ape", 3))], "label 1: category: expected one of .*, got 'ape'"),
        ([frame(0, label("1", None, 3))], "label 1: category: expected one of .*, got None"),
        ([frame(0, label(None, "car", 3))], "labels: expected objects with an id"),
        (
            [frame(0, label("1", "car", 3) | {"rle": run() | {"counts": "b'08'"}})],
            "not Python's print of bytes",
        ),
        ([frame(0, label("1", "car", 3), label("1", "car", 30))], "id: expected once per class and frame"),
        ([DRIVE[0], DRIVE[0]], "0.jpg: frameIndex: expected once in a video, got 0 again"),
        ([frame("0")], r"frames\[0\].frameIndex: expected a number, got '0'"),
        ([frame(0.5)], "frameIndex: expected a number"),
        ([frame(9)], "frameIndex: expected frames of the labels"),
        ([frame(0) | {"labels": 5}], "labels: expected a list, got int"),
        ([frame(0) | {"videoName": "x"}], r"videoName: expected some of \['v'\], got \['x'\]"),
        ([{"labels": []}], r"frames\[0\].name: expected the name of an image"),
        ([], "frames: expected Scalabel frames, got none"),
        (7, "frames: expected a list of frames, got int"),
    ],
)
def test_a_bad_frame_of_bdd100k_is_one_line(
    bdd: Callable[..., dict[str, Any]], output: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        bdd(DRIVE, output)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=some.data())
def test_any_change_of_a_frame_scores_or_is_one_line(bdd: Callable[..., dict[str, Any]], data: Any) -> None:
    which = data.draw(some.booleans())
    changed = data.draw(damaged(DRIVE))
    try:
        found = bdd(changed if which else DRIVE, DRIVE if which else changed)
    except DataError as error:
        assert ".json" in str(error) and "\n" not in str(error)
    else:
        assert found["FP"] >= 0 and found["FN"] >= 0


def bitmask(path: Path, size: tuple[int, int] = SIZE) -> None:
    pixels = np.zeros((*size, 4), np.uint8)
    pixels[5:15, 3:12] = (0, 0, 3, 1)  # blue, green, red, alpha: a car of id 1
    write_image(path, pixels)


def test_bitmasks_of_another_size_or_video_are_reported_and_missing_ones_count_as_misses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for video in ("v", "w"):
        bitmask(tmp_path / f"gt/{video}/0.png")
    bitmask(tmp_path / "said/v/0.png")

    assert score("bdd100k", tmp_path / "gt", tmp_path / "said")["summary"]["FN"] == 1
    assert "said/w: folder: expected the video's frames, got none" in caplog.text
    bitmask(tmp_path / "said/w/0.png", (12, 30))
    with pytest.raises(DataError, match=r"w/0\.png: image: expected the labels' size \(24, 60\), got \(12"):
        score("bdd100k", tmp_path / "gt", tmp_path / "said")
    bitmask(tmp_path / "said/x/0.png")
    with pytest.raises(DataError, match=r"folders: expected videos of the labels, got \['x'\]"):
        score("bdd100k", tmp_path / "gt", tmp_path / "said")


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (
            [{"name": "0.png", "labels": [{"index": "1", "score": 0.5}]}],
            "0.png: labels: expected a whole index",
        ),
        (
            [{"name": "0.png", "labels": [{"index": 1, "score": math.nan}]}],
            "expected a whole index and a finite",
        ),
        ([{"name": "0.png"}, {"name": "0.jpg"}], "entry 1: name: expected once, got 0.png again"),
        ([7], "entry 0: expected a name and labels"),
        ({}, "expected a list of name and labels, got dict"),
    ],
)
def test_bad_scores_of_single_images_are_one_line(tmp_path: Path, scores: Any, message: str) -> None:
    bitmask(tmp_path / "gt/0.png")
    bitmask(tmp_path / "said/0.png")
    (tmp_path / "said.json").write_text(json.dumps(scores))

    with pytest.raises(DataError, match=message):
        score("bdd100k_ins_seg", tmp_path / "gt", tmp_path / "said")
