"""Evaluation through the real node: in lock-step what files give, in real time with its price."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("trackeval")

from support.bags import Squares
from support.robot import node_environment  # sets the DDS profile of this process
from support.squares import export_squares

from pcan_model import evaluate
from pcan_model.data.scalabel import write_clip
from pcan_model.evaluation.setup import Answer, NoAnswer, Setup
from pcan_model.structures import TrackedInstance
from pcan_ros.masks import Encoding
from pcan_ros.messages import from_tracks, to_tracks
from pcan_ros.replay.process import NodeProcess

assert node_environment


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture(autouse=True)
def own_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(os.getpid() % 90 + 10))


def setup_of(model: Path, **other: Any) -> Setup:
    return Setup(str(model), "onnx", threads=1, **other)


def as_sent(answer: Answer, classes: tuple[str, ...]) -> list[TrackedInstance]:
    """Return an answer as it is after a way through a message."""
    from std_msgs.msg import Header

    message = to_tracks(answer.tracks, Header(), classes, encoding=Encoding.RLE_COCO)
    return list(from_tracks(message).instances)


def test_in_lockstep_node_and_files_agree_message_by_message(squares: Path) -> None:
    clip = Squares(frames=8)
    follow, config = setup_of(squares).open()
    through, same = setup_of(squares, via="node").open()
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
    files, node = tmp_path / "files.json", tmp_path / "node.json"
    assert evaluate.main([*base, str(files)]) == 0
    table = capsys.readouterr().out
    assert evaluate.main([*base, str(node), "--via", "node", "--rate", "0.5"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(table)
    assert "in real time, 0.5 x: 12 frames sent" in printed

    first, second = json.loads(files.read_text()), json.loads(node.read_text())
    cost = second.pop("in_real_time")
    for report in (first, second):
        del report["command"]
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
    assert "the node has ended; the node's last word" in error and "modle: no such parameter" in error


def test_a_frame_without_an_answer_in_lockstep_is_no_result(
    squares: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pcan_ros.replay.client.Client.exchange", lambda *_, **__: None)
    through, _ = setup_of(squares, via="node").open()
    with pytest.raises(NoAnswer, match=r"no tracks for the image of 1\.000 s"):
        next(through(Squares()))
