"""Official numbers through the node, as on the robot: a data set is played to it clip by clip.

  ros2 launch pcan_ros evaluate.launch.py root:=/data/KITTI_MOTS split:=val
  ros2 launch pcan_ros evaluate.launch.py dataset:=bdd100k_seg_track root:=/data/bdd100k rate:=1.0

The node is started by `pcan-evaluate` itself, which waits for it, plays in lock-step, and with `rate` again
in real time. `--show-args` lists the arguments. Where the evaluation fails, so does launch.
"""

from __future__ import annotations

import sys

from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
    PopLaunchConfigurations,
    PushLaunchConfigurations,
    Shutdown,
)
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from launch import LaunchContext, LaunchDescription

MODEL = [FindPackageShare("pcan_ros"), "models", "pcan_street"]
OPTIONS = {  # argument: option of pcan-evaluate, description; an empty argument is left out
    "dataset": ("--format", "kind of data set, such as kitti_mots; recognised by its files if empty"),
    "split": ("--split", "of the data set's own, such as val; everything labelled if empty"),
    "rate": ("--rate", "play again in real time at this multiple, and say what that costs"),
    "out": ("--out", "folder for report.html, report.json and the answers"),
}


def generate_launch_description() -> LaunchDescription:
    """Evaluate, print the table, and end."""
    model = PathJoinSubstitution(MODEL)
    return LaunchDescription(
        [
            PushLaunchConfigurations(),  # the arguments' values end with this file
            DeclareLaunchArgument("root", description="folder of the data set"),
            DeclareLaunchArgument("model", default_value=model, description="folder of an exported model"),
            DeclareLaunchArgument("engine", default_value="onnx", description="onnx or openvino"),
            DeclareLaunchArgument("videos", default_value="", description="only these clips, by spaces"),
            *(
                DeclareLaunchArgument(name, default_value="", description=text)
                for name, (_, text) in OPTIONS.items()
            ),
            OpaqueFunction(function=_evaluation),
            PopLaunchConfigurations(),
        ]
    )


def _evaluation(context: LaunchContext) -> list[ExecuteProcess]:
    command = [sys.executable, "-m", "pcan_ros.start", "pcan-evaluate", *arguments(context)]
    return [ExecuteProcess(cmd=command, output="screen", on_exit=_end)]


def _end(event: ProcessExited, context: LaunchContext) -> list[Shutdown]:
    """End launch, with exit code 1 where the evaluation failed; raising is what launch fails by."""
    if event.returncode and not context.is_shutdown:
        raise RuntimeError(f"pcan-evaluate failed with exit code {event.returncode}")
    return [Shutdown(reason="evaluated")]


def arguments(context: LaunchContext) -> list[str]:
    """Return what pcan-evaluate is started with."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context).strip()

    words = [value("model"), "--engine", value("engine"), "--via", "node", "--data", value("root")]
    for name, (option, _) in OPTIONS.items():
        if value(name):
            words += [option, value(name)]
    return words + (["--videos", *value("videos").split()] if value("videos") else [])
