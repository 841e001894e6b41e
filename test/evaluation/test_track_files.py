"""Tracks that were written are read back by the scorers and by the readers of data sets, unchanged."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco
from support.squares import export_squares
from support.squares_footage import FRAMES, drawn, images, write_images

import pcan_model
from pcan_model.api.tracked_frame import TrackedFrame
from pcan_model.core.errors import DataError, UserError
from pcan_model.data.formats import kitti_mots
from pcan_model.data.registry import open_clips
from pcan_model.evaluation.recording import Recording
from pcan_model.evaluation.score import score
from pcan_model.evaluation.track_files import TRACK_FILES, Target, read_target, write_tracks

CAR, PERSON = 2, 0
SHAPE = drawn(0).shape[:2]


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[TrackedFrame]:
    squares = export_squares(tmp_path_factory.mktemp("squares"))
    return list(pcan_model.load(squares, backend="onnxruntime", threads=1).track(images()))


def write(kind: str, path: Path, frames: list[TrackedFrame]) -> Path:
    recording = Recording("squares", frames[0].classes)
    with write_tracks([Target(kind, path)], recording) as add:
        for frame in frames:
            add(frame)
    return path


def test_kitti_mots_is_read_back_and_scores_full_marks(frames: list[TrackedFrame], tmp_path: Path) -> None:
    path = write("kitti_mots", tmp_path / "found" / "squares.txt", frames)
    lines = kitti_mots.read_lines(path)
    for frame in frames:
        labels = kitti_mots.from_lines(lines[frame.index], SHAPE, frame.classes)
        masks = dict(zip(labels.labels.tolist(), labels.masks(), strict=True))
        assert np.array_equal(masks[CAR], frame.masks[0]) and np.array_equal(masks[PERSON], frame.masks[1])
    (tmp_path / "squares.seqmap").write_text(f"squares empty 000000 {FRAMES - 1:06d}\n")
    scores = score("kitti_mots", path.parent, path.parent, tmp_path / "squares.seqmap")
    assert scores["per_class"]["car"]["CLEAR/MOTA"] == 1


def test_mot_challenge_is_scored_against_its_own_boxes(frames: list[TrackedFrame], tmp_path: Path) -> None:
    path = write("mot_challenge", tmp_path / "found" / "squares.txt", frames)
    rows = [line.split(",") for line in path.read_text().splitlines()]
    assert [int(row[0]) for row in rows] == [n for n in range(1, FRAMES + 1) for _ in range(2)]
    for row, (x1, y1, x2, y2) in zip(rows, (box for frame in frames for box in frame.boxes), strict=True):
        assert [float(side) for side in row[2:6]] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=0.01)
    truth = tmp_path / "truth" / "squares" / "gt" / "gt.txt"
    truth.parent.mkdir(parents=True)
    truth.write_text("".join(",".join([*row[:6], "1", "1", "1"]) + "\n" for row in rows))
    scores = score("mot_challenge", tmp_path / "truth", path.parent)
    assert scores["per_class"]["pedestrian"]["CLEAR/MOTA"] == 1


def test_scalabel_is_scored_and_opens_as_a_data_set(frames: list[TrackedFrame], tmp_path: Path) -> None:
    path = write("scalabel", tmp_path / "drive" / "labels" / "squares.json", frames)
    assert score("bdd100k", path, path)["per_class"]["car"]["MOTA"] == 100
    named = [frame.name for frame in frames]
    assert [entry["name"] for entry in json.loads(path.read_text())] == named
    pictures = write_images(tmp_path / "drive" / "images" / "squares")
    for name in named:
        (pictures / name).with_suffix(".png").rename(pictures / name)
    (clip,) = open_clips(tmp_path / "drive")
    for frame in frames:
        labels = clip.labels(frame.index)
        assert np.array_equal(labels.masks(), frame.masks) and labels.ids.tolist() == frame.ids.tolist()


def test_bitmasks_are_scored(frames: list[TrackedFrame], tmp_path: Path) -> None:
    path = write("bdd100k", tmp_path / "bitmasks", frames)
    assert len(list(path.glob("squares/*.png"))) == FRAMES
    assert score("bdd100k", path, path)["per_class"]["pedestrian"]["MOTA"] == 100


def test_youtube_vis_is_scored(frames: list[TrackedFrame], tmp_path: Path) -> None:
    path = write("youtube_vis", tmp_path / "results.json", frames)
    results = json.loads(path.read_text())
    assert [len(entry["segmentations"]) for entry in results] == [FRAMES] * 2
    truth = truth_of(frames) | {
        "videos": [{"id": 1, "height": SHAPE[0], "width": SHAPE[1], "file_names": [f.name for f in frames]}],
        "annotations": [
            entry | {"id": number, "iscrowd": 0} for number, entry in enumerate(results, start=1)
        ],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    assert score("youtube_vis", tmp_path / "truth.json", path)["stats"]["AP"] == pytest.approx(1)


def truth_of(frames: list[TrackedFrame]) -> dict[str, object]:
    names = enumerate(frames[0].classes, start=1)
    return {"categories": [{"id": number, "name": name} for number, name in names]}


def test_coco_opens_as_a_data_set_and_its_detections_are_scored(
    frames: list[TrackedFrame], tmp_path: Path
) -> None:
    path = write("coco", tmp_path / "annotations" / "instances_val.json", frames)
    (tmp_path / "val").mkdir()
    for frame in frames:
        cv2.imwrite(str(tmp_path / "val" / frame.name), frame.image[..., ::-1])
    clips = open_clips(tmp_path, "coco")
    for clip, frame in zip(clips, frames, strict=True):
        labels = clip.labels(0)
        assert np.array_equal(labels.masks(), frame.masks)
        assert labels.labels.tolist() == frame.class_ids.tolist()
    found = write("coco_results", tmp_path / "found.json", frames)
    assert score("coco", path, found)["stats"]["AP"] == pytest.approx(1)
    tracks = [entry["track_id"] for entry in json.loads(path.read_text())["annotations"]]
    assert tracks == [1, 2] * FRAMES


def test_cvat_opens_as_a_data_set(frames: list[TrackedFrame], tmp_path: Path) -> None:
    write("cvat", tmp_path / "annotations.xml", frames)
    write_images(tmp_path / "images")
    (clip,) = open_clips(tmp_path)
    for frame in frames:
        labels = clip.labels(frame.index)
        assert np.array_equal(labels.masks(), frame.masks) and labels.ids.tolist() == frame.ids.tolist()
        assert labels.labels.tolist() == frame.class_ids.tolist()


def test_csv_loses_nothing(frames: list[TrackedFrame], tmp_path: Path) -> None:
    path = write("csv", tmp_path / "found.csv", frames)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    objects = [(frame, k) for frame in frames for k in range(len(frame))]
    for row, (frame, k) in zip(rows, objects, strict=True):
        run = {"size": [int(row["height"]), int(row["width"])], "counts": row["rle"]}
        assert np.array_equal(coco.decode(run), frame.masks[k])
        known = int(row["frame"]), int(row["track_id"]), row["class"]
        assert known == (frame.index, frame.ids[k], frame.labels[k])
        assert float(row["time"]) == pytest.approx(frame.time)
        assert [float(row[side]) for side in ("x1", "y1", "x2", "y2")] == pytest.approx(
            frame.boxes[k].tolist(), abs=0.01
        )


def test_masks_hold_the_id_of_every_pixel(frames: list[TrackedFrame], tmp_path: Path) -> None:
    path = write("masks", tmp_path / "masks", frames)
    for frame in frames:
        image = cv2.imread(str(path / f"{frame.index:06d}.png"), cv2.IMREAD_UNCHANGED)
        assert image is not None and image.dtype == np.uint16
        for number, mask in zip(frame.ids, frame.masks, strict=True):
            assert np.array_equal(image == number, mask)


@pytest.mark.parametrize("kind", TRACK_FILES)
def test_without_frames_every_format_is_complete_and_an_error_leaves_nothing(
    kind: str, frames: list[TrackedFrame], tmp_path: Path
) -> None:
    recording = Recording("squares", frames[0].classes)
    with write_tracks([Target(kind, tmp_path / "empty")], recording):
        pass
    assert (tmp_path / "empty").exists()
    if kind in ("scalabel", "coco", "coco_results", "youtube_vis"):
        json.loads((tmp_path / "empty").read_text())
    with (
        pytest.raises(OSError, match="pulled"),
        write_tracks([Target(kind, tmp_path / "x")], recording) as add,
    ):
        add(frames[0])
        raise OSError("pulled")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_names_of_images_give_the_numbers(frames: list[TrackedFrame], tmp_path: Path) -> None:
    recording = Recording("squares", frames[0].classes, [7, 9, 11, 13])
    with write_tracks([Target("kitti_mots", tmp_path / "a.txt")], recording) as add:
        for frame in frames:
            add(frame)
    assert list(kitti_mots.read_lines(tmp_path / "a.txt")) == [7, 9, 11, 13]


def test_a_wrong_target_is_named(tmp_path: Path) -> None:
    for text in ("found.txt", "excel:found.xls", "csv:"):
        with pytest.raises(UserError, match=r"write: expected FORMAT:PATH with one of kitti_mots, .* got"):
            read_target(text)
    for kind in ("masks", "csv"):
        with pytest.raises(DataError, match=f"{tmp_path}: {kind}: expected"):
            read_target(f"{kind}:{tmp_path}")
    assert read_target("csv:a:b.csv") == Target("csv", Path("a:b.csv"))
