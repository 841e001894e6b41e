"""Commands and arguments of show.launch.py, and the topics in the files of the viewers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")

from pcan_model.data.clips import ClipFrame
from pcan_ros import show
from pcan_ros.node.outputs import KINDS
from pcan_ros.show import ShowError, ShownBag, missing_reason, play_command, tracker_arguments, view_of

ROOT = Path(__file__).resolve().parents[2]
RAW = ShownBag(Path("drive"), "/front/image_raw", compressed=False, has_clock=False)
PACKED = ShownBag(Path("drive"), "/front/image_raw/compressed", compressed=True, has_clock=True)


def test_images_are_played_as_the_layouts_camera_with_a_clock_unless_the_bag_has_one() -> None:
    start = ["ros2", "bag", "play", "drive", "--rate", "1.0"]
    assert play_command(RAW, "1.0", "false") == [
        *start,
        "--clock",
        "--remap",
        "/front/image_raw:=/camera/image",
    ]
    remapped = "/front/image_raw/compressed:=/camera/image/compressed"
    assert play_command(PACKED, "1", "true") == [*start, "--loop", "--remap", remapped]


def test_the_tracker_gets_the_played_topic_or_without_a_player_that_of_the_bag() -> None:
    assert tracker_arguments(PACKED, playing=True)["cameras"] == "/camera/image"
    alone = tracker_arguments(PACKED, playing=False)
    assert (alone["cameras"], alone["compressed"], alone["use_sim_time"]) == (
        "/front/image_raw",
        "true",
        "false",
    )


@pytest.mark.parametrize(
    ("rate", "loop"), [("fast", "false"), ("0", "false"), ("nan", "false"), ("1", "yes")]
)
def test_invalid_arguments_are_reported(rate: str, loop: str) -> None:
    with pytest.raises(
        ShowError, match=r"(rate: expected a number above 0|loop: expected true or false), got"
    ):
        play_command(RAW, rate, loop)
    with pytest.raises(ShowError, match="view: expected one of rviz, foxglove, none; got tv"):
        view_of("tv")


def test_a_part_that_is_not_installed_is_skipped_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "installed", lambda package: package == "rviz2")
    assert missing_reason("rviz") is None
    line = "foxglove is skipped: foxglove_bridge is not installed: sudo apt-get install ros-$ROS_DISTRO-"
    assert missing_reason("foxglove") == f"{line}foxglove-bridge"


def test_packages_are_found_by_the_ament_index() -> None:
    assert show.installed("sensor_msgs") and not show.installed("no_such_package")


def test_topic_form_and_clock_are_read_from_a_bag(tmp_path: Path) -> None:
    from pcan_ros.bag.make import make_bag

    frames = (ClipFrame(np.zeros((8, 8, 3), np.uint8), i, i * 10**8, f"{i}.png") for i in range(2))
    make_bag(frames, tmp_path / "bag")
    found = show.read_bag(tmp_path / "bag")
    assert found == ShownBag(tmp_path / "bag", "/camera/image", compressed=False, has_clock=True)


def topics(value: Any) -> set[str]:
    """Return every text that names a topic of a node, wherever it is, without a field behind a dot."""
    if isinstance(value, dict):
        return set().union(*map(topics, value), *map(topics, value.values()))
    if isinstance(value, list):
        return set().union(*map(topics, value))
    return {value.split(".")[0]} if isinstance(value, str) and value.startswith("/pcan_") else set()


@pytest.mark.parametrize("name", ["pcan.rviz", "foxglove_layout.json", "foxglove_3d_layout.json"])
def test_the_viewers_files_name_topics_that_the_node_has(name: str) -> None:
    text = (ROOT / "config" / name).read_text()
    named = topics(json.loads(text) if name.endswith(".json") else yaml.safe_load(text))
    lifted = {f"/pcan_lifter/{topic}" for topic in ("boxes", "markers", "points")}
    assert named and named <= {f"/pcan_tracker/{topic}" for topic in KINDS} | lifted


@pytest.mark.parametrize("name", ["foxglove_layout.json", "foxglove_3d_layout.json"])
def test_every_panel_of_a_layout_is_placed_and_configured(name: str) -> None:
    layout = json.loads((ROOT / "config" / name).read_text())

    def leaves(part: Any) -> set[str]:
        return {part} if isinstance(part, str) else leaves(part["first"]) | leaves(part["second"])

    assert leaves(layout["layout"]) == set(layout["configById"])
