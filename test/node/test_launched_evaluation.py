"""`ros2 launch` evaluates a data set through the node, and fails if the evaluation fails."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("ros2launch", reason="launch comes with a ROS 2 distribution, the registries lack it")
pytest.importorskip("trackeval")

from support.bags import Squares
from support.domains import new_domain
from support.launching import launched
from support.squares import export_squares

from pcan_model.data.datasets.scalabel import write_clip


def test_a_data_set_is_evaluated_and_launch_ends_with_it(tmp_path: Path) -> None:
    model = export_squares(tmp_path / "squares")
    write_clip(tmp_path / "set", "a", (Squares().frame(i) for i in range(4)), quality=100)
    given = [f"root:={tmp_path / 'set'}", f"model:={model}", f"out:={tmp_path / 'out'}"]
    with launched(tmp_path, "evaluate.launch.py", *given, ROS_DOMAIN_ID=str(new_domain())) as launch:
        assert launch.wait() == 0
    assert "HOTA" in launch.log() and "ERROR" not in launch.log()
    assert (tmp_path / "out" / "report.json").is_file()


def test_an_evaluation_that_fails_makes_launch_fail(tmp_path: Path) -> None:
    with launched(tmp_path, "evaluate.launch.py", "root:=/nowhere") as launch:
        assert launch.wait() == 1
    assert "pcan-evaluate: /nowhere: path: expected a data set" in launch.log()
    assert "pcan-evaluate failed with exit code 2" in launch.log()
