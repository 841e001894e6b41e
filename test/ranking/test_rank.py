"""Frames ranked from the command line, and what is written for those that are chosen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.squares import export_squares
from support.squares_footage import FRAMES, images, write_images

from pcan_model.cli.data import main
from pcan_model.core.packed_tracks import pack_tracks, unpack_tracks
from pcan_model.core.structures import Frame, FrameKind
from pcan_model.data.registry import open_clips
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.ranking.rank import Ranker
from pcan_model.tracking.tracker import Tracker


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    return write_images(tmp_path / "drive")


def test_chosen_frames_are_listed_and_come_back_from_cvat(
    model: Path, footage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [
        "--out",
        str(tmp_path / "r.json"),
        "--sheet",
        str(tmp_path / "s.png"),
        "--cvat",
        str(tmp_path / "c"),
    ]
    assert main(["rank", str(footage), "--model", str(model), "--count", "2", "--threads", "1", *files]) == 0
    frames = json.loads((tmp_path / "r.json").read_text())["frames"]
    chosen = [frame for frame in frames if frame["chosen"]]
    assert len(frames) == FRAMES and sorted(frame["chosen"] for frame in chosen) == [1, 2]
    assert chosen[0]["name"] in capsys.readouterr().out
    assert (tmp_path / "s.png").is_file()
    (clip,) = open_clips(tmp_path / "c" / "drive")
    assert [len(clip.labels(k)) for k in range(len(clip))] == [frame["objects"] for frame in chosen]


def test_an_existing_folder_is_not_written_into(
    model: Path, footage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rank", str(footage), "--model", str(model), "--cvat", str(tmp_path)]) == 2
    assert "cvat: expected a folder that does not exist, got one that does" in capsys.readouterr().err


def test_signals_are_read_from_the_memory_of_the_engine(model: Path, footage: Path) -> None:
    engine = OnnxEngine(model, threads=1)
    (clip,) = open_clips(footage)
    frames = Ranker(engine).rank(clip)
    config = engine.config.frame_attention
    assert all(np.isfinite(frame.features).all() for frame in frames) and config.levels
    assert frames[0].signals.jump == 0 and frames[1].signals.jump > 0  # the stand-in's bank grows
    assert all(frame.signals.sizes == 0 for frame in frames)


def test_packed_tracks_are_the_same_tracks(model: Path) -> None:
    tracker = Tracker(OnnxEngine(model, threads=1))
    state = tracker.start()
    for number, image in enumerate(images()):
        state, tracks = tracker.step(state, Frame(image, number / 10))
        tracks = replace(tracks, kind=list(FrameKind)[number % 2])
        back = unpack_tracks(pack_tracks(tracks))
        assert (back.stamp, back.height, back.width, back.frame_index, back.kind) == (
            tracks.stamp, tracks.height, tracks.width, tracks.frame_index, tracks.kind,
        )  # fmt: skip
        for ours, theirs in zip(back.instances, tracks.instances, strict=True):
            assert (ours.track_id, ours.uuid, ours.state, ours.score) == (
                theirs.track_id, theirs.uuid, theirs.state, theirs.score,
            )  # fmt: skip
            for a, b in ((ours.box, theirs.box), (ours.velocity, theirs.velocity)):
                assert np.array_equal(a, b) and a.dtype == b.dtype
            assert np.array_equal(ours.mask.full(64, 96), theirs.mask.full(64, 96))


@pytest.mark.parametrize("data", [b"", b"x", pack_tracks.__name__.encode()])
def test_other_bytes_are_not_tracks(data: bytes) -> None:
    with pytest.raises(ValueError, match="tracks"):
        unpack_tracks(data)
