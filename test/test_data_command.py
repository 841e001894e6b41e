"""`pcan-data`: what it prints, what it writes, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from pcan_model.data.clips import LabeledFrame
from pcan_model.data.scalabel import write_clip
from pcan_ros.data_sets import main
from pcan_ros.drawing.labels import draw_labels


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


def test_check_ends_with_1_after_a_problem(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "images" / "a" / "000001.jpg").unlink()
    assert main(["check", str(root)]) == 1
    assert "problem: " in capsys.readouterr().out
    file = root / "labels" / "a.json"
    file.write_text(json.dumps([{"name": "0.jpg", "labels": [{"id": 1, "category": "ape"}]}]))
    assert main(["check", str(root)]) == 1
    assert "a.json: 0.jpg: label 1: category: expected one of" in capsys.readouterr().out


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
    picture = draw_labels(frame(), ("a", "b", "car"))
    assert (picture[35, 5] > 110).all() and (picture[25, 50] == 90).all()
    assert np.ptp(picture[15, 12].astype(int)) > 20  # of a colour
