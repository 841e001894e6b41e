"""Play a bag, track it and display the result; parts whose package is not installed are skipped.

  ros2 launch pcan_ros show.launch.py bag:=drive
  ros2 launch pcan_ros show.launch.py bag:=drive view:=foxglove loop:=true

The bag starts when the tracker is active. `--show-args` lists the arguments.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    PopLaunchConfigurations,
    PushLaunchConfigurations,
    RegisterEventHandler,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.event_handlers import OnStateTransition

from launch import LaunchContext, LaunchDescription
from pcan_model.core.package_files import shared
from pcan_ros.show import (
    LAYOUT,
    ShownBag,
    missing_reason,
    play_command,
    read_bag,
    tracker_arguments,
    view_of,
)

ARGUMENTS = {  # name: default (None: required), description
    "bag": (None, "folder of a rosbag2 with a camera's images"),
    "topic": ("", "image topic of the bag; empty: the most likely camera topic"),
    "rate": ("1.0", "playback rate"),
    "loop": ("false", "play in a loop"),
    "view": ("rviz", "rviz, foxglove (the bridge for Foxglove and Lichtblick) or none"),
    "model": ("", "folder of an exported model; empty: the default model"),
}


def generate_launch_description() -> LaunchDescription:
    """Start tracker and viewer, then the bag."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    parts = OpaqueFunction(function=_parts)
    return LaunchDescription([PushLaunchConfigurations(), *declared, parts, PopLaunchConfigurations()])


def _parts(context: LaunchContext) -> list[Any]:
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context).strip()

    bag = read_bag(Path(value("bag")).expanduser(), value("topic"))
    play, view = play_command(bag, value("rate"), value("loop")), view_of(value("view"))
    return [*_play(play), *_view(view), _tracker(bag, value("model"))]


def _tracker(bag: ShownBag, model: str) -> IncludeLaunchDescription:
    arguments = tracker_arguments(bag, playing=missing_reason("play") is None) | {"model": model}
    source = PythonLaunchDescriptionSource(str(shared("launch/tracker.launch.py")))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())


def _play(command: list[str]) -> list[Any]:
    missing = missing_reason("play")
    if missing:
        return [LogInfo(msg=f"show: {missing}")]
    player = ExecuteProcess(cmd=command, output="screen")
    return [RegisterEventHandler(OnStateTransition(goal_state="active", entities=[player]))]


def _view(view: str) -> list[Any]:
    missing = None if view == "none" else missing_reason(view)
    if missing:
        return [LogInfo(msg=f"show: {missing}")]
    if view == "rviz":
        return [Node(package="rviz2", executable="rviz2", arguments=["-d", str(shared("config/pcan.rviz"))])]
    if view == "foxglove":
        text = f"show: open ws://localhost:8765 in Foxglove or Lichtblick and import {shared(LAYOUT)}"
        return [Node(package="foxglove_bridge", executable="foxglove_bridge"), LogInfo(msg=text)]
    return []
