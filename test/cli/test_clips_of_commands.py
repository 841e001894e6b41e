"""Every command that reads a clip ends alike: what was there is used, what was missing named, exit code 1."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from support.squares import export_squares
from support.videos import FRAMES, announce, cut_off, without_length, write_video

from pcan_model.cli import data, track


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


def frames_of(video: Path) -> int:
    return int(cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT))


def follow(squares: Path, video: Path, out: Path) -> int:
    """Run pcan-track; returns its exit code."""
    words = [video, "--model", squares, "--backend", "onnxruntime", "--threads", 1]
    return track.main([*map(str, words), "--out", str(out / "t.mp4"), "--sheet", str(out / "t.png")])


def looks(video: Path, out: Path) -> list[int]:
    """Run every command of pcan-data; returns their exit codes."""
    return [
        data.main(["check", str(video)]),
        data.main(["show", str(video), "--out", str(out / "show.png")]),
        data.main(["convert", str(video), "--to", "scalabel", "--out", str(out / "converted")]),
    ]


@pytest.mark.parametrize(("name", "code"), [("v.avi", "MJPG"), ("v.mkv", "mp4v"), ("v.mp4", "mp4v")])
def test_a_cut_video_is_used_as_far_as_it_goes_and_every_command_says_so(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, code: str
) -> None:
    path = cut_off(write_video(tmp_path / name, code), 0.5)
    assert follow(squares, path, tmp_path) == 1
    count = frames_of(tmp_path / "t.mp4")
    line = f"{path}: ended after {count} of 25 frames: the file is cut off"
    assert 0 < count < FRAMES and (tmp_path / "t.png").is_file()
    assert f"pcan-track: {line}" in capsys.readouterr().err
    assert looks(path, tmp_path) == [1, 1, 1]
    printed = capsys.readouterr()
    assert f"problem: {line}" in printed.out and printed.err.count(f"pcan-data: {line}") == 2
    assert len(list((tmp_path / "converted" / "images" / "v").iterdir())) == count


@pytest.mark.parametrize("kind", ["off by one", "live", "stream"])
def test_a_whole_video_is_read_by_every_command_whatever_its_header_says(
    squares: Path, tmp_path: Path, kind: str
) -> None:
    path = {
        "off by one": lambda: announce(write_video(tmp_path / "v.mkv", "MJPG"), 26),
        "live": lambda: without_length(write_video(tmp_path / "v.webm", "VP80")),
        "stream": lambda: write_video(tmp_path / "v.mjpg", "MJPG"),
    }[kind]()
    assert follow(squares, path, tmp_path) == 0
    assert frames_of(tmp_path / "t.mp4") == FRAMES and (tmp_path / "t.png").is_file()
    assert looks(path, tmp_path) == [0, 0, 0]
    assert len(list((tmp_path / "converted" / "images" / "v").iterdir())) == FRAMES
