"""Evaluation through the real node: in lock-step what files give, in real time with its price."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("trackeval")

import support.robot  # noqa: F401  sets the DDS profile of this process
from builtin_interfaces.msg import Time
from std_msgs.msg import Header
from support.bags import Squares
from support.domains import new_domain
from support.squares import export_squares

from pcan_model.core.masks import Encoding
from pcan_model.core.structures import TrackedInstance
from pcan_model.data.bags.files import Record
from pcan_model.data.datasets.scalabel import write_clip
from pcan_model.evaluation.predict import NoPrediction, Prediction
from pcan_model.evaluation.setup import Setup
from pcan_ros import evaluate
from pcan_ros.client.player import play_in_time
from pcan_ros.client.process import NodeProcess
from pcan_ros.evaluate import open_setup
from pcan_ros.messages import from_tracks, to_tracks


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture(autouse=True)
def own_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(new_domain()))


def setup_of(model: Path, **other: Any) -> Setup:
    return Setup(str(model), "onnx", threads=1, **other)


def as_sent(reply: Prediction, classes: tuple[str, ...]) -> list[TrackedInstance]:
    """Return an answer as it is after a way through a message."""
    message = to_tracks(reply.tracks, Header(), classes, encoding=Encoding.RLE_COCO)
    return list(from_tracks(message).instances)


def test_in_lockstep_node_and_files_agree_message_by_message(squares: Path) -> None:
    clip = Squares(length=8)
    follow, config = setup_of(squares).open()
    through, same = open_setup(setup_of(squares, via="node"))
    assert same.classes == config.classes

    pairs = list(zip(follow(clip), through(clip), strict=True))
    assert len(pairs) == 8
    for file, node in pairs:
        assert not node.dropped and node.seconds > 0
        assert file.tracks.stamp == node.tracks.stamp
        for field in ("height", "width", "frame_index"):
            assert getattr(file.tracks, field) == getattr(node.tracks, field)
        mine, theirs = as_sent(file, config.classes), node.tracks.instances
        assert len(mine) == len(theirs) > 0
        for a, b in zip(mine, theirs, strict=True):
            for name in ("track_id", "state", "age", "time_since_update", "label", "score"):
                assert getattr(a, name) == getattr(b, name), name
            assert np.array_equal(a.box, b.box) and np.array_equal(a.velocity, b.velocity)
            assert (a.mask.x, a.mask.y) == (b.mask.x, b.mask.y)
            assert np.array_equal(a.mask.crop, b.mask.crop)


def test_the_command_prints_the_same_figures_either_way_and_what_real_time_costs(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        write_clip(tmp_path / "set", name, (Squares().frame(i) for i in range(6)), quality=100)
    base = [str(squares), "--engine", "onnx", "--data", str(tmp_path / "set"), "--out"]
    files, node = tmp_path / "files", tmp_path / "node"
    assert evaluate.main([*base, str(files)]) == 0
    table = capsys.readouterr().out
    assert evaluate.main([*base, str(node), "--via", "node", "--rate", "0.5"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(table)
    assert "in real time, 0.5 x: 12 frames sent" in printed

    first, second = (json.loads((out / "report.json").read_text()) for out in (files, node))
    cost = second.pop("in_real_time")
    for report in (first, second):
        del report["provenance"], report["speed"]
    assert first == second
    assert first["mean"]["hota"] > 0.5
    assert cost["frames"] == cost["answered"] + cost["dropped"] == 12
    assert cost["p50"] <= cost["p95"] <= cost["p99"] and cost["jitter"] >= 0
    assert cost["lockstep"]["hota"] == first["mean"]["hota"]


def test_a_node_that_cannot_start_is_one_clear_line(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clip(tmp_path, "a", (Squares().frame(i) for i in range(2)))
    base = [str(squares), "--data", str(tmp_path)]
    assert evaluate.main([*base, "--via", "node"]) == 2
    assert "--via node: expected the folder of an exported model" in capsys.readouterr().err
    assert evaluate.main([*base, "--engine", "onnx", "--rate", "1"]) == 2
    assert "--rate: expected --via node" in capsys.readouterr().err

    begin = NodeProcess.__init__

    def wrong(self: NodeProcess, parameters: dict[str, Any], *rest: Any, **more: Any) -> None:
        begin(self, {**parameters, "modle": "x"}, *rest, **more)

    monkeypatch.setattr(NodeProcess, "__init__", wrong)
    assert evaluate.main([*base, "--engine", "onnx", "--via", "node"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert (
        "the node has ended; the node's last line of output" in error and "modle: unknown parameter" in error
    )


def test_a_frame_without_tracks_in_lockstep_is_an_error(
    squares: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pcan_ros.client.client.Client.exchange", lambda *_, **__: None)
    through, _ = open_setup(setup_of(squares, via="node"))
    with pytest.raises(NoPrediction, match=r"no tracks for the image of 1\.000 s"):
        next(through(Squares()))


class Slow:
    """Stands in for a client whose node takes its time: every answer comes three looks after its image."""

    def __init__(self, keeps: set[int]) -> None:
        self.replies: list[Any] = []
        self._keeps, self._looks, self._waiting = keeps, 0, list[tuple[int, int]]()

    def idle(self, duration: float) -> None:
        self._look()

    def send(self, raw: bytes) -> float:
        stamp = int(raw)
        if stamp in self._keeps:
            self._waiting.append((self._looks + 3, stamp))
        return time.monotonic()

    def wait(self, done: Any, timeout: float, alive: Any) -> bool:
        for _ in range(5):
            self._look()
            if done():
                return True
        return False

    def _look(self) -> None:
        self._looks += 1
        for look, stamp in [w for w in self._waiting if w[0] <= self._looks]:
            self._waiting.remove((look, stamp))
            header = Header(stamp=Time(sec=stamp))
            self.replies.append(
                SimpleNamespace(message=SimpleNamespace(header=header), time=time.monotonic())
            )


@pytest.mark.parametrize(("keeps", "answered"), [({1, 3}, [1, 3]), ({1}, [1]), (set(), [])])
def test_a_run_in_real_time_waits_for_the_last_tracks_and_reports_dropped_images(
    keeps: set[int], answered: list[int]
) -> None:
    records = [Record(0, s * 10**9, str(s).encode(), None) for s in (1, 2, 3)]
    played = play_in_time(records, Slow(keeps), lambda: True, 1e9)  # type: ignore[arg-type]
    assert [p.stamp // 10**9 for p in played] == [1, 2, 3]
    assert [p.stamp // 10**9 for p in played if p.reply] == answered


def test_images_with_the_same_stamp_are_each_sent_and_counted() -> None:
    records = [Record(0, 10**9, b"1", None) for _ in range(2)]
    played = play_in_time(records, Slow({1}), lambda: True, 1e9)  # type: ignore[arg-type]
    assert [bool(p.reply) for p in played] == [True, True]
