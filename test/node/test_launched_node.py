"""`ros2 launch` starts the node: its parameters, its environment, its end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("ros2launch", reason="launch comes with a ROS 2 distribution, the registries lack it")

from support.domains import new_domain
from support.launching import PATIENCE, ROOT, launched, ros2
from support.robot import image
from support.squares import export_squares, pixels

from pcan_ros.client.client import Client

PARENT = """
import json, os
from launch import LaunchDescription
from launch.actions import EmitEvent, IncludeLaunchDescription, OpaqueFunction
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource

def seen(context):
    values = [dict(context.launch_configurations), dict(context.environment)]
    open(os.environ["SEEN"], "a").write(json.dumps(values) + "\\n")

def generate_launch_description():
    tracker = PythonLaunchDescriptionSource(os.environ["TRACKER"])
    return LaunchDescription([
        OpaqueFunction(function=seen),
        IncludeLaunchDescription(tracker),
        OpaqueFunction(function=seen),
        EmitEvent(event=Shutdown(reason="seen")),
    ])
"""


GROUPED = """
import os
from launch import LaunchDescription
from launch.actions import EmitEvent, GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource

def seen(context):
    open(os.environ["SEEN"], "a").write(str(sorted(context.launch_configurations)))

def generate_launch_description():
    source = PythonLaunchDescriptionSource(os.environ["TRACKER"])
    return LaunchDescription([
        GroupAction([IncludeLaunchDescription(source, launch_arguments=[("name", "mine")])], scoped=True),
        OpaqueFunction(function=seen),
        EmitEvent(event=Shutdown(reason="seen")),
    ])
"""


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


def test_a_camera_given_without_brackets_is_tracked_and_ctrl_c_ends_cleanly(
    squares: Path, tmp_path: Path
) -> None:
    domain = new_domain()
    arguments = [f"model:={squares}", "cameras:=/camera/image_raw", "reliability:=reliable", "threads:=1"]
    with (
        launched(tmp_path, "tracker.launch.py", *arguments, ROS_DOMAIN_ID=str(domain)) as launch,
        Client(image_topic="/camera/image_raw", outputs="/pcan_tracker", domain=domain) as client,
    ):
        client.find_node(PATIENCE, lambda: launch.process.poll() is None)
        reply = client.exchange(image(pixels({2: (5, 10)}), 1.0), PATIENCE)
        assert reply is not None and len(reply.message.instances) == 1
        launch.interrupt()
        assert launch.wait() == 0
    assert "process has finished cleanly" in launch.log()
    assert "Traceback" not in launch.log() and "ERROR" not in launch.log()


def launched_with(folder: Path, parent: str) -> tuple[str, str]:
    """Launch a file that includes the tracker's; return the log and what it has written as seen."""
    file, seen = folder / "parent.launch.py", folder / "seen.txt"
    file.write_text(parent)
    environment = {"SEEN": str(seen), "TRACKER": str(ROOT / "launch" / "tracker.launch.py")}
    with launched(folder, file, **environment, ROS_DOMAIN_ID=str(new_domain())) as launch:
        launch.wait()
    return launch.log(), seen.read_text()


def test_later_actions_see_neither_the_nodes_environment_nor_its_arguments(tmp_path: Path) -> None:
    log, seen = launched_with(tmp_path, PARENT)
    before, after = map(json.loads, seen.splitlines())
    assert "process started" in log
    assert after == before


def test_arguments_given_to_an_include_in_a_group_stay_in_it(tmp_path: Path) -> None:
    log, seen = launched_with(tmp_path, GROUPED)
    assert "process started" in log
    assert seen == "[]"


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("cameras:=[", "cameras: expected image topics such as /camera/image_raw"),
        ("cameras:=[]", "cameras: expected image topics such as /camera/image_raw"),
        ("parameters:=/nowhere.yaml", "parameters: expected a file, got /nowhere.yaml"),
        ("fastdds_profile:=/nowhere.xml", "fastdds_profile: expected a file, auto or none"),
    ],
)
def test_an_invalid_argument_is_a_one_line_error(tmp_path: Path, argument: str, line: str) -> None:
    with launched(tmp_path, "tracker.launch.py", argument) as launch:
        assert launch.wait() == 1
    errors = [text for text in launch.log().splitlines() if not text.startswith("[INFO]")]
    assert len(errors) == 1 and line in errors[0]
    assert "process started" not in launch.log()


@pytest.mark.parametrize(
    "program", ["pcan_tracker", "pcan_autoware", "pcan-bag", "pcan-evaluate", "pcan-build-engine"]
)
def test_programs_are_found_by_ros2_run(program: str) -> None:
    pytest.importorskip("ros2run")
    run = ros2("run", "pcan_ros", program, "--help")
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"usage: {program}")
