"""A labelled copy holds every message unchanged and the tracks; an interrupted run loses only time."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from support.bags import CAR, cut, drive, image_message, write_bag
from support.squares import export_squares, pixels

import pcan_ros.bag.label
from pcan_model.core.stamps import nanoseconds
from pcan_model.data.bags.labels import labels_of
from pcan_model.data.bags.reading import Bag, BagError
from pcan_model.data.image_decoding import decode
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.tracking.tracker import Tracker
from pcan_ros.bag.command import main
from pcan_ros.bag.copy import CopyStyle
from pcan_ros.bag.label import label_bag
from pcan_ros.messages import from_tracks, label_image

ROOT = Path(__file__).resolve().parents[2]
STAMPS = [1 + i / 10 for i in range(8)]


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture
def tracker(squares: Path) -> Tracker:
    return Tracker(OnnxEngine(squares, 1))


def messages(path: Path, topic: str) -> list[Any]:
    with Bag(path) as bag:
        types = bag.types()
        return [types.deserialize_cdr(m.raw, m.connection.msgtype) for m in bag.messages([topic])]


def stored(path: Path, topics: list[str]) -> list[tuple[str, int, bytes]]:
    with Bag(path) as bag:
        return [(m.connection.topic, m.time, m.raw) for m in bag.messages(topics)]


def said(path: Path, topic: str = "/pcan_tracker/tracks") -> list[Any]:
    """Return what does not differ from run to run: frame, ids, boxes, scores, masks."""
    return [
        (m.frame_index, [(i.track_id, i.state, i.x, i.y, i.score, bytes(i.mask.data)) for i in m.instances])
        for m in messages(path, topic)
    ]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_the_copy_holds_every_message_and_tracks_overlay_and_label_image(
    tmp_path: Path, tracker: Tracker, storage: Any
) -> None:
    source = write_bag(tmp_path / "bag", drive(STAMPS), storage=storage)
    done = label_bag(source, tmp_path / "out", tracker, style=CopyStyle(storage, raw=True))
    assert (done.images, done.resumed, done.refused, done.losses) == (8, 0, (), ())
    assert stored(tmp_path / "out", ["/camera/image"]) == stored(source, ["/camera/image"])

    images, tracks = messages(source, "/camera/image"), messages(tmp_path / "out", "/pcan_tracker/tracks")
    assert [nanoseconds(m.header.stamp) for m in tracks] == [round(s * 1e9) for s in STAMPS]
    assert [[i.track_id for i in m.instances] for m in tracks] == [[1]] * 8
    for image, message in zip(images, tracks, strict=True):
        (mask,) = labels_of(message, decode(image)).masks
        assert np.array_equal(mask, (decode(image) == (255, 0, 0)).all(2))
    overlay = messages(tmp_path / "out", "/pcan_tracker/overlay")
    labels = messages(tmp_path / "out", "/pcan_tracker/label_image")
    assert {(m.encoding, m.height, m.width) for m in overlay} == {("bgr8", 64, 96)}
    pixels = labels[0].data.view(np.uint16).reshape(64, 96)
    assert np.array_equal(pixels, label_image(from_tracks(tracks[0])))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bag", "out"]


def test_an_interrupted_run_resumes_with_the_same_result(
    tmp_path: Path, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcan_ros.bag.label, "CHUNK", 3)
    source = write_bag(tmp_path / "bag", drive(STAMPS))
    label_bag(source, tmp_path / "whole", tracker)

    step, steps = tracker.step, 0

    def breaks(*arguments: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 6:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(tracker, "step", breaks)
    with pytest.raises(KeyboardInterrupt):
        label_bag(source, tmp_path / "out", tracker)
    assert not (tmp_path / "out").exists()
    done = label_bag(source, tmp_path / "out", tracker)
    assert (done.images, done.resumed) == (8, 3)
    assert steps == 6 + 5
    assert said(tmp_path / "out") == said(tmp_path / "whole")
    uuids = {
        bytes(bytearray(i.uuid.uuid))
        for m in messages(tmp_path / "out", "/pcan_tracker/tracks")
        for i in m.instances
    }
    assert len(uuids) == 1, "the track is the same one after the break"


def test_after_a_kill_nothing_has_the_final_name_and_the_next_run_resumes(
    tmp_path: Path, squares: Path
) -> None:
    source = write_bag(tmp_path / "bag", drive(1 + i / 10 for i in range(300)))
    command = [sys.executable, "-m", "pcan_ros.bag.command", "label", source, "--out", tmp_path / "out"]
    command += ["--model", squares, "--threads", "1", "--no-images"]
    first = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        while not list(tmp_path.glob(".out.part/*.chunk")) and first.poll() is None:
            time.sleep(0.01)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert not (tmp_path / "out").exists()
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert "300 images tracked, " in again.stdout and "by an earlier run" in again.stdout
    assert [frame for frame, _ in said(tmp_path / "out")] == list(range(300))
    assert not list(tmp_path.glob(".*"))
    label_bag(source, tmp_path / "whole", Tracker(OnnxEngine(squares, 1)), style=CopyStyle(images=False))
    assert said(tmp_path / "out") == said(tmp_path / "whole"), "as without the kill"


def test_a_manipulated_chunk_is_tracked_again(
    tmp_path: Path, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, warnings = write_bag(tmp_path / "bag", drive(STAMPS)), list[str]()
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(pcan_ros.bag.label, "CHUNK", 3)
        patch.setattr(pcan_ros.bag.label, "write_copy", lambda *_: 1 / 0)
        label_bag(source, tmp_path / "out", tracker)
    (tmp_path / ".out.part" / "000000003.chunk").write_bytes(b"cos\nsystem\n(S'echo'\ntR.")
    done = label_bag(source, tmp_path / "out", tracker, warn=warnings.append)
    assert (done.images, done.resumed) == (8, 3) and len(warnings) == 1 and "000000003.chunk" in warnings[0]
    label_bag(source, tmp_path / "whole", tracker)
    assert said(tmp_path / "out") == said(tmp_path / "whole")


def test_another_source_of_the_same_name_starts_from_the_beginning(
    tmp_path: Path, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcan_ros.bag.label, "CHUNK", 2)
    source = write_bag(tmp_path / "bag", drive(STAMPS))
    monkeypatch.setattr(pcan_ros.bag.label, "write_copy", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        label_bag(source, tmp_path / "out", tracker)
    monkeypatch.undo()
    write_bag(tmp_path / "bag", drive(STAMPS[:5]))
    assert label_bag(source, tmp_path / "out", tracker).resumed == 0
    assert len(said(tmp_path / "out")) == 5


def test_other_weights_do_not_reuse_earlier_results(
    tmp_path: Path, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcan_ros.bag.label, "CHUNK", 2)
    source = write_bag(tmp_path / "bag", drive(STAMPS))
    with monkeypatch.context() as broken, pytest.raises(ZeroDivisionError):
        broken.setattr(pcan_ros.bag.label, "write_copy", lambda *_: 1 / 0)
        label_bag(source, tmp_path / "out", tracker, model="first")
    assert label_bag(source, tmp_path / "out", tracker, model="second").resumed == 0


def test_two_cameras_of_different_rates_have_tracks_of_their_own(tmp_path: Path, tracker: Tracker) -> None:
    both = [*drive(STAMPS, "/left/image"), *drive(STAMPS[::2], "/right/image")]
    source = write_bag(tmp_path / "bag", sorted(both, key=lambda m: m[1]))
    label_bag(source, tmp_path / "out", tracker, topics=("/left/image", "/right/image"))
    for camera, count in (("camera0", 8), ("camera1", 4)):
        tracks = said(tmp_path / "out", f"/pcan_tracker/{camera}/tracks")
        assert [frame for frame, _ in tracks] == list(range(count))
    label_bag(source, tmp_path / "one", tracker)
    assert said(tmp_path / "one") == said(tmp_path / "out", "/pcan_tracker/camera0/tracks")


def test_images_that_cannot_be_read_are_copied_and_counted_but_not_tracked(
    tmp_path: Path, tracker: Tracker
) -> None:
    good = pixels({CAR: (10, 10)})
    source = write_bag(
        tmp_path / "bag",
        [
            ("/camera/image", 1.0, image_message(good, 1.0)),
            ("/camera/image", 1.1, image_message(good, 1.1, encoding="32FC1")),
            ("/camera/image", 1.2, b"\0\1\0\0 no image"),
            ("/camera/image", 1.3, image_message(pixels({CAR: (20, 20)}, height=32, width=48), 1.3)),
        ],
    )
    done = label_bag(source, tmp_path / "out", tracker)
    assert done.images == 2, "only those that were tracked count"
    assert len(done.refused) == 2 and "'32FC1' (1 images)" in done.refused[0]
    assert stored(tmp_path / "out", ["/camera/image"]) == stored(source, ["/camera/image"])
    tracks = messages(tmp_path / "out", "/pcan_tracker/tracks")
    assert [(m.image_height, m.image_width, m.frame_index) for m in tracks] == [(64, 96, 0), (32, 48, 1)]


def test_the_command_ends_with_1_if_nothing_can_be_tracked(
    tmp_path: Path, squares: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    depth = [
        ("/depth", 1 + k / 10, image_message(pixels({}), 1 + k / 10, encoding="32FC1")) for k in range(3)
    ]
    source = write_bag(tmp_path / "bag", depth)
    words = ["label", str(source), "--out", str(tmp_path / "out"), "--model", str(squares), "--threads", "1"]
    assert main(words) == 1
    printed = capsys.readouterr().out
    assert f"written: {tmp_path}/out, 0 images tracked\n" in printed
    assert "not read: /depth: encoding: expected one of" in printed and "(3 images)" in printed


def test_the_colour_images_are_tracked_and_not_the_depth(tmp_path: Path, squares: Path) -> None:
    depth = [("/a_depth", s, image_message(pixels({}), s, encoding="16UC1")) for s in (*STAMPS, 2.0)]
    source = write_bag(tmp_path / "bag", [*depth, *drive(STAMPS)])
    words = ["label", str(source), "--out", str(tmp_path / "out"), "--model", str(squares), "--threads", "1"]
    assert main(words) == 0
    assert len(said(tmp_path / "out")) == len(STAMPS)


def test_a_looping_bag_and_a_seek_reset_the_tracks_as_in_the_node(tmp_path: Path, tracker: Tracker) -> None:
    source = write_bag(tmp_path / "bag", drive([5.0, 5.1, 4.0, 4.1, 90.0]))
    label_bag(source, tmp_path / "out", tracker)
    assert [frame for frame, _ in said(tmp_path / "out")] == [0, 1, 0, 1, 0]


def test_the_rest_of_a_truncated_bag_becomes_an_intact_one(tmp_path: Path, tracker: Tracker) -> None:
    source = cut(write_bag(tmp_path / "bag", drive(1 + i / 10 for i in range(40))), 0.5)
    done = label_bag(source, tmp_path / "out", tracker)
    assert len(done.losses) == 2
    with Bag(tmp_path / "out") as bag:
        assert not bag.losses
    assert stored(tmp_path / "out", ["/camera/image"]) == stored(source, ["/camera/image"])


def test_invalid_options_are_rejected_before_tracking(
    tmp_path: Path, squares: Path, tracker: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_bag(tmp_path / "bag", drive(STAMPS))
    with pytest.raises(BagError, match="expected another name than the source's"):
        label_bag(source, source, tracker)
    with pytest.raises(BagError, match="expected images on /rear, found /camera/image"):
        label_bag(source, tmp_path / "out", tracker, topics=("/rear",))
    once, twice = str(tmp_path / "once"), str(tmp_path / "twice")
    model = ["--model", str(squares), "--threads", "1"]
    assert main(["label", str(source), "--out", once, *model]) == 0
    assert main(["label", once, "--out", twice, *model]) == 2
    assert "/pcan_tracker: expected an unused prefix, found /pcan_tracker/" in capsys.readouterr().err
    assert main(["label", once, "--out", twice, "--prefix", "/second", *model]) == 0
    assert said(Path(twice), "/second/tracks") == said(Path(twice))


def test_several_bags_are_written_into_a_folder_under_their_names(
    tmp_path: Path, squares: Path, tracker: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    bags = [str(write_bag(tmp_path / name, drive(STAMPS))) for name in ("monday", "tuesday")]
    words = ["label", *bags, "--out", str(tmp_path / "all"), "--model", str(squares), "--threads", "1"]
    assert main(words) == 0
    label_bag(Path(bags[0]), tmp_path / "one", tracker)
    assert said(tmp_path / "all" / "monday") == said(tmp_path / "one") == said(tmp_path / "all" / "tuesday")
    capsys.readouterr()
    assert main(["label", bags[0], bags[0], *words[3:]]) == 2
    assert "expected bags of different names, got several of ['monday']" in capsys.readouterr().err
