"""Evaluation through the node: a data set is played to it clip by clip.

  ros2 launch pcan_ros evaluate.launch.py root:=/data/KITTI_MOTS split:=val
  ros2 launch pcan_ros evaluate.launch.py dataset:=bdd100k_seg_track root:=/data/bdd100k rate:=1.0

`pcan-evaluate` starts the node, plays the clips in lock-step, and with `rate` again in real time.
`--show-args` lists the arguments. If the evaluation fails, so does the launch.
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
OPTIONS = {  # argument: option of pcan-evaluate, description; empty arguments are omitted
    "dataset": ("--format", "format of the data set, such as kitti_mots; empty: recognised by its files"),
    "split": ("--split", "split of the data set, such as val; empty: all labelled splits"),
    "rate": ("--rate", "also play in real time at this multiple, and report the loss of accuracy"),
    "out": ("--out", "folder for report.html, report.json and predictions"),
}


def generate_launch_description() -> LaunchDescription:
    """Run the evaluation and shut down."""
    model = PathJoinSubstitution(MODEL)
    return LaunchDescription(
        [
            PushLaunchConfigurations(),  # limits the arguments to this file
            DeclareLaunchArgument("root", description="folder of the data set"),
            DeclareLaunchArgument("model", default_value=model, description="folder of an exported model"),
            DeclareLaunchArgument("engine", default_value="onnx", description="onnx or openvino"),
            DeclareLaunchArgument(
                "videos", default_value="", description="names of clips, separated by spaces; empty: all"
            ),
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
    """Shut down; an exception makes launch exit with 1 if the evaluation failed."""
    if event.returncode and not context.is_shutdown:
        raise RuntimeError(f"pcan-evaluate failed with exit code {event.returncode}")
    return [Shutdown(reason="evaluated")]


def arguments(context: LaunchContext) -> list[str]:
    """Return the arguments of pcan-evaluate."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context).strip()

    words = [value("model"), "--engine", value("engine"), "--via", "node", "--data", value("root")]
    for name, (option, _) in OPTIONS.items():
        if value(name):
            words += [option, value(name)]
    return words + (["--videos", *value("videos").split()] if value("videos") else [])
