"""`pcan-track` writes what it found in every format asked for, shows it, and ends a stream in order."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.squares import export_squares
from support.squares_footage import FRAMES, drawn, write_images

from pcan_model.api import resume
from pcan_model.cli import track
from pcan_model.tracking.tracker import Tracker


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_images(tmp_path / "drive", first=7)


def follow(squares: Path, source: object, *words: str) -> int:
    """Run pcan-track; returns its exit code."""
    fixed = ["--model", str(squares), "--backend", "onnxruntime", "--threads", "1"]
    return track.main([str(source), *fixed, *words])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_several_formats_are_written_at_once_without_a_video(
    squares: Path, drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--no-video", "--write", "csv:found.csv", "coco:found.json", "--write", "masks:masks"]
    assert follow(squares, drive, *words) == 0
    assert len(rows(tmp_path / "found.csv")) == 2 * FRAMES
    assert [image["id"] for image in json.loads((tmp_path / "found.json").read_text())["images"]] == [
        7, 8, 9, 10,
    ], "the numbers in the images' names"  # fmt: skip
    assert len(list((tmp_path / "masks").iterdir())) == FRAMES
    assert not (tmp_path / "tracks.mp4").exists()
    assert capsys.readouterr().out.split() == [
        "written:",
        "found.csv",
        "written:",
        "found.json",
        "written:",
        "masks",
    ]


def test_only_the_classes_and_the_region_asked_for_are_written(squares: Path, drive: Path) -> None:
    assert follow(squares, drive, "--no-video", "--classes", "car", "--write", "csv:car.csv") == 0
    assert {row["class"] for row in rows(Path("car.csv"))} == {"car"}
    words = ["--no-video", "--region", "48,0 96,0 96,64 48,64", "--write", "csv:right.csv"]
    assert follow(squares, drive, *words) == 0
    assert {row["class"] for row in rows(Path("right.csv"))} == {"pedestrian"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--write", "excel:x"], "write: expected FORMAT:PATH with one of kitti_mots"),
        (
            ["--write", "csv:same", "coco:same"],
            "same: expected a file of its own for each output, got several",
        ),
        (["--write", "csv:drive"], "drive: csv: expected the name of a file to write, got a folder"),
        (["--classes", "lorry"], "classes: expected classes of pedestrian"),
        (["--region", "none.png"], "region: expected 3 corners or more"),
        (["--show"], "window: expected"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_work_starts(
    squares: Path, drive: Path, tmp_path: Path, words: list[str], said: str,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert follow(squares, drive, *words) == 2
    assert said in capsys.readouterr().err and [path.name for path in tmp_path.iterdir()] == ["drive"]


def test_closing_the_window_ends_in_order(
    squares: Path, drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[NDArray[np.uint8]] = []

    @contextmanager
    def window(title: str) -> Iterator[object]:
        yield lambda image: shown.append(image) or len(shown) < 2

    monkeypatch.setattr(track, "window", window)
    assert follow(squares, drive, "--show", "--no-video", "--write", "csv:found.csv") == 0
    assert len(shown) == 2 and len(rows(Path("found.csv"))) == 2 * len(shown)


class Camera:
    """Stands in for cv2.VideoCapture: a camera that never ends; Ctrl-C is pressed at the third image."""

    def __init__(self, source: int | str) -> None:
        self.reads = 0

    def isOpened(self) -> bool:
        return True

    def get(self, key: int) -> float:
        return 0.0

    def read(self) -> tuple[bool, NDArray[np.uint8]]:
        self.reads += 1
        if self.reads == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return True, np.ascontiguousarray(drawn(self.reads % FRAMES)[..., ::-1])

    def release(self) -> None:
        pass


def test_ctrl_c_ends_a_camera_with_complete_files(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    handler, video_capture = signal.getsignal(signal.SIGINT), cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    assert follow(squares, 0, "--write", "csv:found.csv", "kitti_mots:found.txt") == 0
    assert signal.getsignal(signal.SIGINT) is handler
    found = rows(Path("found.csv"))
    assert found and len(found) == len(Path("found.txt").read_text().splitlines())
    assert float(found[0]["time"]) > 1e9, "when the image arrived"
    assert video_capture("tracks.mp4").get(cv2.CAP_PROP_FRAME_COUNT) == len(found) / 2
    assert "written: found.csv" in capsys.readouterr().out


def test_an_interrupted_run_goes_on_where_it_ended_and_writes_the_same(
    squares: Path,
    drive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(resume, "CHUNK", 2)
    words = ["--no-video", "--write", "csv:found.csv"]
    steps: list[int] = []
    step = Tracker.step

    def stop_at(fourth: int) -> None:
        def count(self: Tracker, *arguments: Any, **named: Any) -> Any:
            steps.append(1)
            if len(steps) == fourth:
                raise KeyboardInterrupt
            return step(self, *arguments, **named)

        steps.clear()
        monkeypatch.setattr(Tracker, "step", count)

    stop_at(4)
    assert follow(squares, drive, *words) == 130 and not Path("found.csv").exists()
    assert Path(".found.csv.part").is_dir()
    stop_at(9)
    assert follow(squares, drive, *words) == 0
    assert "resuming after 2 images" in capsys.readouterr().out and len(steps) == FRAMES - 2
    assert not Path(".found.csv.part").exists()
    resumed = Path("found.csv").read_text()
    assert follow(squares, drive, *words) == 0 and Path("found.csv").read_text() == resumed
