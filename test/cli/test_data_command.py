"""`pcan-data`: what it prints, what it writes, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from pcan_model.cli.data import main
from pcan_model.data.clips import LabeledFrame
from pcan_model.data.datasets.scalabel import write_clip
from pcan_model.visualization.labels import draw_labels


def frame(label: int = 2) -> LabeledFrame:
    masks = np.zeros((1, 40, 60), bool)
    masks[0, 5:20, 10:30] = True
    ignore = np.zeros((40, 60), bool)
    ignore[30:] = True
    return LabeledFrame(np.full((40, 60, 3), 90, np.uint8), masks, np.array([label]), np.array([3]), ignore)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_clip(tmp_path / "set", "a", [frame(), frame()])
    return tmp_path / "set"


def test_check_says_what_is_there(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(root)]) == 0
    out = capsys.readouterr().out
    assert f"{root}: scalabel\n1 clips, 2 frames; width x height (frames): 60x40 (2)" in out
    assert ["car", "2", "1", "2", "300"] in [line.split() for line in out.splitlines()]


def test_check_says_how_many_objects_are_boxes_only(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = root / "labels" / "a.json"
    frames = json.loads(file.read_text())
    del frames[0]["labels"][0]["rle"]
    file.write_text(json.dumps(frames))
    assert main(["check", str(root)]) == 0
    out = capsys.readouterr().out
    assert "objects with a box only: 1\n" in out
    assert ["car", "2", "1", "2", "300"] in [line.split() for line in out.splitlines()]


def test_check_ends_with_1_after_a_problem(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "images" / "a" / "000001.jpg").unlink()
    assert main(["check", str(root)]) == 1
    assert "problem: " in capsys.readouterr().out
    file = root / "labels" / "a.json"
    file.write_text(json.dumps([{"name": "0.jpg", "labels": [{"id": 1, "category": "ape"}]}]))
    assert main(["check", str(root)]) == 1
    assert "a.json: 0.jpg: label 1: category: expected one of" in capsys.readouterr().out


def problems(root: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what check complains of."""
    assert main(["check", str(root)]) == 1
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("problem: ")]


def test_check_goes_on_after_every_bad_file_and_frame(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("b", "c", "d"):
        write_clip(root, name, [frame(), frame(), frame()])
    (root / "labels/b.json").write_text("[")
    (root / "labels/c.json").write_text('{"frames": 3}')
    entries = json.loads((root / "labels/d.json").read_text())
    entries[0]["labels"][0]["category"] = "ape"
    entries[2]["labels"] = "none"
    (root / "labels/d.json").write_text(json.dumps(entries))

    assert main(["check", str(root)]) == 1
    out = capsys.readouterr().out

    assert "2 clips, 4 frames" in out  # both frames of a, two of d, one of them without its bad label
    found = [line for line in out.splitlines() if line.startswith("problem: ")]
    expected = [
        "b.json: file: expected JSON, got ",
        "c.json: frames: expected a list of frames, got int",
        "d.json: 000000.jpg: label 3: category: expected one of ",
        "d.json: 000002.jpg: labels: expected a list, got str",
    ]
    assert len(found) == 4 and all(text in line for text, line in zip(expected, found, strict=True))
    assert main(["show", str(root), "--out", str(root / "sheet.png")]) == 2  # others stop at the first
    assert "b.json" in capsys.readouterr().err


def test_check_goes_on_after_every_bad_video_and_object_of_youtube_vis(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "vis"
    assert main(["convert", str(root), "--to", "youtube_vis", "--out", str(out)]) == 0
    capsys.readouterr()
    file = out / "train/instances.json"
    data = json.loads(file.read_text())
    data["annotations"] += [5, data["annotations"][0] | {"id": 77, "category_id": 99}]
    data["videos"].append({"id": 2})
    file.write_text(json.dumps(data))

    found = problems(out, capsys)

    assert len(found) == 3 and all("instances.json" in line for line in found)
    assert "annotation 77: category_id: expected one of" in found[1] and "got {'id': 2}" in found[2]


def test_check_goes_on_after_every_bad_folder_of_images(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("b", "c"):
        write_clip(root, name, [frame()])
    assert main(["convert", str(root), "--to", "bdd100k_bitmask", "--out", str(tmp_path / "bdd")]) == 0
    assert main(["convert", str(root), "--to", "kitti_mots", "--out", str(tmp_path / "kitti")]) == 0
    capsys.readouterr()
    for folder in ("bdd/labels/seg_track_20/bitmasks/train", "kitti/image_02"):
        for name in ("a", "c"):
            for pixels in (tmp_path / folder / name).iterdir():
                pixels.unlink()
    for kind in ("bdd", "kitti"):
        found = problems(tmp_path / kind, capsys)
        assert [line.split(": ")[1].rpartition("/")[2] for line in found] == ["a", "c"]


def test_what_is_no_data_set_ends_with_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"pcan-data: {tmp_path}: layout: expected") and error.count("\n") == 1


def test_show_draws_a_sheet(root: Path, tmp_path: Path) -> None:
    assert main(["show", str(root), "--out", str(tmp_path / "s.png"), "--frames", "2"]) == 0
    sheet = cv2.imread(str(tmp_path / "s.png"))
    assert sheet is not None and sheet.shape[1] > 3 * 600


def test_convert_writes_a_set_that_check_likes(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "vis"
    assert main(["convert", str(root), "--to", "youtube_vis", "--out", str(out), "--out-split", "val"]) == 0
    assert main(["check", str(out), "--split", "val"]) == 0
    assert main(["convert", str(root), "--to", "youtube_vis", "--out", str(out)]) == 2


def test_labels_are_drawn_and_what_is_ignored_is_greyed() -> None:
    pixels = draw_labels(frame(), ("a", "b", "car"))
    assert (pixels[35, 5] > 110).all() and (pixels[25, 50] == 90).all()
    assert np.ptp(pixels[15, 12].astype(int)) > 20  # of a colour
