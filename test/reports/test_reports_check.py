"""`pcan-data check` reports every bad object and continues, in every format."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from support.damage import damaged

from pcan_model.cli.data import main
from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.core.rle import encode
from pcan_model.data.check import DatasetSummary, check
from pcan_model.data.files import write_image
from pcan_model.data.formats import scalabel, youtube_vis
from pcan_model.data.registry import open_clips

REPORTS = Path(os.environ.get("PCAN_SHARED", Path(__file__).parents[3] / "shared")) / "data/reports"
SIZE = (96, 160)
SQUARE = [30, 20, 80, 20, 80, 60, 30, 60]


def run(x: int = 10) -> dict[str, Any]:
    mask = np.zeros(SIZE, bool)
    mask[20:50, x : x + 20] = True
    return encode(mask)


def image_files(folder: Path, count: int, end: str = ".jpg") -> None:
    folder.mkdir(parents=True)
    for k in range(count):
        write_image(folder / f"{k}{end}", np.full((*SIZE, 3), 90 + k, np.uint8))


def bdd(root: Path, *labels: dict[str, Any]) -> Path:
    """Write two frames of Scalabel: a sound car in each, and the labels in the first."""
    if not (root / "images").is_dir():
        image_files(root / "images/v", 2)
        (root / "labels").mkdir()
    frames = [
        {"name": f"{k}.jpg", "frameIndex": k, "labels": [{"id": "1", "category": "car", "rle": run(10 + k)}]}
        for k in range(2)
    ]
    frames[0]["labels"] += list(labels)
    (root / "labels/v.json").write_text(json.dumps(frames))
    return root


def vis(root: Path, *segmentations: Any, **more: Any) -> Path:
    """Write two frames of YouTube-VIS: a sound car in each, and a second one as given."""
    if not (root / "train").is_dir():
        image_files(root / "train/JPEGImages/v", 2)
    car = {"id": 1, "video_id": 7, "category_id": 4, "segmentations": [run(10), run(11)]}
    other = {"id": 2, "video_id": 7, "category_id": 4, "segmentations": list(segmentations)} | more
    video = {"id": 7, "height": 96, "width": 160, "file_names": ["v/0.jpg", "v/1.jpg"]}
    data = {"videos": [video], "categories": [{"id": 4, "name": "car"}], "annotations": [car, other]}
    (root / "train/instances.json").write_text(json.dumps(data))
    return root


def found(root: Path) -> DatasetSummary:
    """Check a data set as the command does."""
    summary = DatasetSummary()
    clips = open_clips(root, on_error=lambda error: summary.problems.append(str(error)))
    list(check(clips, CLASSES, summary))
    return summary


def box(x1: Any, y1: Any, x2: Any, y2: Any, **more: Any) -> dict[str, Any]:
    sides = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return {"id": "9", "category": "car", "box2d": sides} | more


def poly(*vertices: Any, **more: Any) -> dict[str, Any]:
    return {"id": "9", "category": "car", "poly2d": [{"vertices": list(vertices)} | more]}


OUTSIDE = {
    "left of it": box(-20, -10, -5, -2),
    "right of it": box(160, 10, 190, 20),
    "below": box(10, 96, 20, 120),
    "turned inside out": box(60, 40, 30, 20),
    "inside out in y": box(30, 40, 60, 20),
    "two corners": poly([1, 2], [30, 40]),
    "no corner": poly(types="", closed=True),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_label_outside_the_image_is_reported_and_skipped(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    root = bdd(tmp_path, OUTSIDE[name])
    summary = found(root)

    assert len(summary.problems) == 1 and "v.json: 0.jpg: label 9: " in summary.problems[0]
    assert summary.areas == {"car": [600, 600]} and summary.boxed == 0 and summary.ignoring == 0
    taught = open_clips(root)[0].flat(0)  # training goes on
    assert taught.ids.tolist() == [1] and (taught.index != 0).sum() == 600
    assert "label 9" in caplog.text and len(caplog.records) == 1


BAD = {
    "a box that is no number": box(float("nan"), 1, 60, 60),
    "a box of text": box("1", 1, 60, 60),
    "an endless box": box(0, 0, float("inf"), 9),
    "a box without a side": {"id": "9", "category": "car", "box2d": {"x1": 1, "y1": 1, "x2": 9}},
    "a box that is a list": {"id": "9", "category": "car", "box2d": [1, 1, 9, 9]},
    "vertices of text": poly(["a", "b"], [1, 2], [3, 4]),
    "vertices without end": poly([float("nan"), 1], [1, 2], [3, 4]),
    "vertices far away": poly([1e12, 1], [1, 2], [3, 4]),
    "vertices of three": poly([1, 2, 3], [1, 2, 3], [3, 4, 5]),
    "too few types": poly([1, 2], [30, 2], [30, 40], types="L"),
    "a polygon that is none": {"id": "9", "category": "car", "poly2d": [[1, 2, 3]]},
    "short run lengths": {"id": "9", "category": "car", "rle": {"size": [96, 160], "counts": "0"}},
    "run lengths as bytes": {"id": "9", "category": "car", "rle": {"size": [96, 160], "counts": "b'08'"}},
    "run lengths of 5": {"id": "9", "category": "car", "rle": {"size": [96, 160], "counts": 5}},
    "a size of text": {"id": "9", "category": "car", "rle": {"size": "all", "counts": "08"}},
    "an unknown class": {"id": "9", "category": "ape", "rle": run()},
    "a class that is a list": {"id": "9", "category": [], "rle": run()},
    "no class": {"id": "9", "rle": run()},
    "no id": {"category": "car", "rle": run()},
    "an id that is a list": {"id": [1], "category": "car", "rle": run()},
    "nothing of a mask": {"id": "9", "category": "car"},
    "a flag of text": {"id": "9", "category": "car", "rle": run(), "attributes": {"crowd": "no"}},
    "the same id": {"id": "1", "category": "car", "rle": run(60)},
    "no object": 7,
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_check_continues_after_a_bad_label_and_other_commands_reject_it(tmp_path: Path, name: str) -> None:
    root = bdd(tmp_path, BAD[name])
    summary = found(root)

    assert len(summary.problems) == 1 and "v.json: 0.jpg: " in summary.problems[0]
    assert summary.areas == {"car": [600, 600]} and summary.frames == 2
    with pytest.raises(DataError, match=r"v\.json: 0\.jpg: .*expected .*, got "):
        open_clips(root)[0].frame(0)


def test_polygons_of_one_id_are_one_object_as_for_the_toolkit(tmp_path: Path) -> None:
    part = [[100, 10], [110, 10], [110, 20], [100, 20]]
    other = [[120, 10], [130, 10], [130, 20], [120, 20]]
    summary = found(bdd(tmp_path, poly(*part), poly(*other)))

    assert summary.problems == [] and summary.areas["car"] == [600, 2 * 11 * 11, 600]


PARTS = {
    "two corners": ([[26, 31, 50, 31]], 0),
    "two corners beside a sound part": ([[26, 31, 50, 31], SQUARE], 2000),
    "no part": ([], 0),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_with_fewer_than_three_corners_are_skipped_and_reported(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    segmentation, area = PARTS[name]
    root = vis(tmp_path, segmentation, None)
    summary = found(root)

    assert len(summary.problems) == 1
    assert "annotation 2: segmentations[0]: expected polygons of 3 corners or more" in summary.problems[0]
    assert sorted(summary.areas["car"]) == sorted([600, 600, *([area] if area else [])])
    assert len(open_clips(root)[0].frame(0).ids) == 1 + bool(area)
    assert "segmentations[0]" in caplog.text


@pytest.mark.parametrize(
    "segmentation",
    [SQUARE, [SQUARE[:-1]], [["a"] * 6], [[1e9, 0, 0, 1e9, 5, 5]], [[None] * 6], 7, "08", {},
     {"size": [1, 2]}, run() | {"size": [48, 80]}, [[0, 0, 9e5, 0] * 4]],
)  # fmt: skip
def test_an_invalid_mask_affects_only_its_object(tmp_path: Path, segmentation: Any) -> None:
    root = vis(tmp_path, segmentation, run(100))
    summary = found(root)

    assert summary.areas == {"car": [600, 600, 600]} and len(summary.problems) == 1
    assert r"instances.json: annotation 2: segmentations[0]" in summary.problems[0]
    with pytest.raises(DataError, match=r"annotation 2: segmentations\[0\]"):
        open_clips(root)[0].frame(0)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"id": 1}, "annotation 1: id: expected once in a video, got 1 again"),
        ({"id": "2"}, "annotation 2: id, video_id, segmentations: expected two whole numbers and a list"),
        ({"video_id": None}, "annotation 2: id, video_id"),
        ({"video_id": 8}, r"annotations.video_id: expected an id of videos, got \[8\]"),
        ({"category_id": 99}, r"annotation 2: category_id: expected one of \[4\], got 99"),
        ({"category_id": []}, "annotation 2: category_id"),
        ({"iscrowd": "yes"}, "annotation 2: iscrowd: expected 0 or 1"),
        ({"segmentations": [None]}, "annotation 2: segmentations: expected one per frame, 2, got 1"),
        ({"segmentations": 5}, "annotation 2: id, video_id, segmentations"),
    ],
)
def test_check_continues_after_a_bad_annotation(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    root = vis(tmp_path, run(60), None, **more)
    summary = found(root)

    assert summary.areas == {"car": [600, 600]} and len(summary.problems) == 1
    with pytest.raises(DataError, match=message):
        open_clips(root)


def test_check_continues_after_a_bad_value_of_an_image(tmp_path: Path) -> None:
    values = np.zeros(SIZE, np.uint16)
    values[:9], values[20:30] = 3001, 1001
    image_files(tmp_path / "kitti/image_02/0001", 1, ".png")
    write_image(tmp_path / "kitti/instances/0001/0.png", values)
    mask = np.zeros((*SIZE, 4), np.uint8)
    mask[:9], mask[20:30] = (0, 0, 77, 5), (0, 0, 3, 6)  # blue, green, red, alpha
    image_files(tmp_path / "bdd/images/seg_track_20/train/v", 1)
    write_image(tmp_path / "bdd/labels/seg_track_20/bitmasks/train/v/0.png", mask)

    for kind, message in (("kitti", "value 3001"), ("bdd", "expected 1 to 8, got 77")):
        summary = found(tmp_path / kind)
        assert len(summary.problems) == 1 and message in summary.problems[0]
        assert sum(map(sum, summary.areas.values())) == 1600 and summary.frames == 1


def test_an_invalid_file_affects_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bdd(tmp_path)
    (tmp_path / "labels/deep.json").write_text("[" * 100_000)
    (tmp_path / "labels/long.json").write_text(f"[{'9' * 9999}]")
    (tmp_path / "labels/none.json").write_bytes(b"")
    (tmp_path / "labels/odd.json").write_bytes(b"\xff\xfe[")
    (tmp_path / "labels/marked.json").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "labels/v.json").read_bytes())
    image_files(tmp_path / "images/marked", 2)

    assert main(["check", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "2 clips, 4 frames" in lines[1]
    problems = [line for line in lines if line.startswith("problem: ")]
    assert [line.split("/")[-1].split(":")[0] for line in problems] == [
        "deep.json", "long.json", "none.json", "odd.json",
    ]  # fmt: skip


FRAMES = [
    {
        "name": "0.jpg", "videoName": "v", "frameIndex": 0,
        "labels": [
            {"id": "1", "category": "car", "rle": run(), "attributes": {"crowd": False}},
            box(1, 2, 30, 40), poly([1, 2], [30, 2], [30, 40], [5, 9], types="LCCC"),
        ],
    },
    {"name": "1.jpg", "videoName": "v", "frameIndex": 1, "labels": []},
]  # fmt: skip
VIDEOS = {
    "videos": [{"id": 7, "height": 96, "width": 160, "file_names": ["v/0.jpg", "v/1.jpg"]}],
    "categories": [{"id": 4, "name": "car"}, {"id": 5, "name": "dog"}],
    "annotations": [
        {"id": 1, "video_id": 7, "category_id": 4, "iscrowd": 0, "segmentations": [run(), [SQUARE]]},
        {"id": 2, "video_id": 7, "category_id": 5, "iscrowd": 1, "segmentations": [None, run(30)]},
    ],
}


def read_scalabel(file: Path, on_error: Callable[[DataError], None]) -> list[Any]:
    frames = scalabel.read_frames(file, on_error)
    checked = [scalabel.labels_of(frame, CLASSES, "s", on_error) for frame in frames]
    ids = scalabel.number_ids(checked)
    return [scalabel.decode(labels, SIZE, ids, "s", on_error) for labels in checked]


def read_youtube_vis(file: Path, on_error: Callable[[DataError], None]) -> list[Any]:
    videos = youtube_vis.read_videos(file, CLASSES, on_error)
    return [youtube_vis.decode(v, t, on_error) for v in videos for t in range(len(v.files))]


@pytest.mark.parametrize(
    ("read", "document"), [(read_scalabel, FRAMES), (read_youtube_vis, VIDEOS)], ids=["scalabel", "vis"]
)
@settings(max_examples=400, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=some.data())
def test_any_change_of_a_value_is_read_right_or_a_data_error(
    tmp_path: Path, read: Callable[..., list[Any]], document: Any, data: Any
) -> None:
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(data.draw(damaged(document))))
    errors: list[DataError] = []
    try:
        frames = read(file, errors.append)
    except DataError as error:
        errors.append(error)
        frames = []
    for frame in frames:
        seen = frame.objects(boxed=True)
        assert len(set(zip(seen.ids.tolist(), seen.labels.tolist(), strict=True))) == len(seen)
    assert all("\n" not in str(error) and "expected" in str(error) for error in errors)


@pytest.mark.skipif(not REPORTS.is_dir(), reason="the shared inputs of reports are not here")
@pytest.mark.parametrize(
    ("name", "problems", "objects"),
    [
        ("bdd/ok", 0, 6), ("bdd/poly_novertices", 3, 6), ("bdd/box_nan", 3, 6), ("bdd/box_outside", 3, 6),
        ("vis/poly_ok", 0, 1), ("vis/poly_2points", 1, 0), ("vis/poly_mixed_first", 1, 1),
        ("vis/poly_empty", 1, 0), ("vis/poly_flat", 1, 0),
    ],
)  # fmt: skip
def test_the_reported_sets(name: str, problems: int, objects: int) -> None:
    summary = found(REPORTS / name)

    assert len(summary.problems) == problems
    assert sum(map(len, summary.areas.values())) == objects
