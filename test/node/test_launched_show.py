"""`ros2 launch` plays a bag, tracks it and shows it; missing packages are skipped with a line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("ros2launch", reason="launch comes with a ROS 2 distribution, the registries lack it")

from support.domains import new_domain
from support.launching import launched
from support.squares import export_squares, pixels

from pcan_model.data.clips import ClipFrame
from pcan_ros.bag.make import make_bag
from pcan_ros.show import installed


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the arguments of a launch: a bag and a model."""
    folder = tmp_path_factory.mktemp("show")
    frames = (ClipFrame(pixels({2: (5, 10)}), i, i * 10**8, f"{i}.png") for i in range(3))
    make_bag(frames, folder / "bag")
    return [f"bag:={folder / 'bag'}", f"model:={export_squares(folder / 'squares')}"]


def environment(prefix: Path, *packages: str) -> dict[str, str]:
    """Return variables by which ROS finds packages, and a `ros2` that says what it was called with."""
    index, programs = prefix / "share/ament_index/resource_index/packages", prefix / "bin"
    for folder in (index, programs):
        folder.mkdir(parents=True)
    for package in packages:
        (index / package).touch()
    (programs / "ros2").write_text('#!/bin/sh\necho called: "$@"\n')
    (programs / "ros2").chmod(0o755)
    variables = {"AMENT_PREFIX_PATH": prefix, "PATH": programs}
    joined = {name: os.pathsep.join((str(first), os.environ[name])) for name, first in variables.items()}
    return {**joined, "ROS_DOMAIN_ID": str(new_domain())}


def test_the_bag_begins_once_the_tracker_is_active(tmp_path: Path, arguments: list[str]) -> None:
    there = environment(tmp_path / "prefix", "ros2bag")
    with launched(tmp_path, "show.launch.py", *arguments, "view:=none", **there) as launch:
        launch.until("called: bag play")
        launch.interrupt()
        assert launch.wait() == 0
    log = launch.log()
    assert log.index("tracking /camera/image") < log.index("called: bag play")
    assert "Traceback" not in log and "ERROR" not in log


def test_without_player_and_viewer_the_bags_own_topic_is_tracked(
    tmp_path: Path, arguments: list[str]
) -> None:
    if installed("ros2bag") or installed("rviz2"):
        pytest.skip("ros2bag or rviz2 is installed")
    there = environment(tmp_path / "prefix")
    with launched(tmp_path, "show.launch.py", *arguments, **there) as launch:
        launch.until("tracking /camera/image")
        launch.interrupt()
        launch.wait()
    assert "show: play is skipped: ros2bag is not installed" in launch.log()
    assert "show: rviz is skipped: rviz2 is not installed" in launch.log()


def test_a_missing_bag_is_a_one_line_error(tmp_path: Path) -> None:
    with launched(tmp_path, "show.launch.py", "bag:=/nowhere") as launch:
        assert launch.wait() == 1
    errors = [line for line in launch.log().splitlines() if not line.startswith("[INFO]")]
    assert len(errors) == 1 and "/nowhere: no such bag" in errors[0]
