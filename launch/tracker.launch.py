"""Start the tracker node; `ros2 launch pcan_ros tracker.launch.py --show-args` lists the arguments.

Each may also be given with the prefix `pcan_`, such as `pcan_name`, which takes precedence: in a launch file
that has a `name` of its own, an include sees that one.
"""

from __future__ import annotations

from typing import Any

from launch.actions import (
    DeclareLaunchArgument,
    OpaqueFunction,
    PopLaunchConfigurations,
    PushLaunchConfigurations,
)
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare

from launch import LaunchContext, LaunchDescription
from pcan_ros.environment import missing_settings
from pcan_ros.launch_arguments import DESCRIPTIONS, parameter_file, parameters_from

FILE = [FindPackageShare("pcan_ros"), "config", "tracker.yaml"]
PREFIX = "pcan_"
PROFILE = (
    "Fast DDS profile of the node: a file, none, or auto for the installed one, which allows images above "
    "512 KiB, unless the environment already selects Fast DDS transports"
)


def generate_launch_description() -> LaunchDescription:
    """Start one tracker node for all cameras."""
    return LaunchDescription(
        [
            PushLaunchConfigurations(),
            *_arguments(),
            OpaqueFunction(function=_node),
            PopLaunchConfigurations(),
        ]
    )


def _arguments() -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument("name", default_value="pcan_tracker", description="name of the node"),
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the node"),
        DeclareLaunchArgument(
            "parameters", default_value=PathJoinSubstitution(FILE), description="parameter file"
        ),
        DeclareLaunchArgument("fastdds_profile", default_value="auto", description=PROFILE),
        DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn or error"),
        *(
            DeclareLaunchArgument(name, default_value="", description=text)
            for name, text in DESCRIPTIONS.items()
        ),
    ]


def _node(context: LaunchContext) -> list[LifecycleNode]:
    def value(name: str) -> str:
        prefixed = context.launch_configurations.get(f"{PREFIX}{name}")
        return LaunchConfiguration(name).perform(context) if prefixed is None else prefixed

    given = parameters_from({name: value(name) for name in DESCRIPTIONS})
    parameters: list[Any] = [parameter_file(value("parameters")), *([given] if given else [])]
    node = LifecycleNode(
        package="pcan_ros",
        executable="pcan_tracker",
        name=value("name"),
        namespace=value("namespace"),
        parameters=parameters,
        arguments=["--ros-args", "--log-level", value("log_level")],
        additional_env=missing_settings(context.environment, value("fastdds_profile")),
        output="screen",
    )
    return [node]
