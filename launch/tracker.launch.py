"""`ros2 launch pcan_ros tracker.launch.py --show-args` lists the arguments."""

from __future__ import annotations

import os
from typing import Any

import yaml
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare

from launch import LaunchContext, LaunchDescription
from pcan_model.core.config import TrackerConfig
from pcan_ros.node.parameters import parameters

CONFIG = [FindPackageShare("pcan_ros"), "config"]
# Parameters that are arguments; an empty one is what the parameter file says.
NAMES = ("model", "cameras", "backend", "engine_cache", "threads", "compressed", "reliability", "autostart")
KNOWN = parameters(TrackerConfig())
PARAMETERS = {name: KNOWN[name].description for name in NAMES} | {
    "use_sim_time": "take the time from /clock, as with `ros2 bag play --clock`",
}
LITERALS = ("cameras", "threads", "compressed", "autostart", "use_sim_time")  # those that are not strings
OLD = os.environ.get("ROS_DISTRO") in ("humble", "jazzy")  # Kilted warns of the old name
PROFILE_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE" if OLD else "FASTDDS_DEFAULT_PROFILES_FILE"
# Keeps the pages of big images between frames: 17 % of a core becomes 5 % (720p, 30 Hz).
TUNED = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "536870912"}


def generate_launch_description() -> LaunchDescription:
    """Start one tracker node for all cameras."""
    return LaunchDescription([*_arguments(), *_environment(), OpaqueFunction(function=_node)])


def _arguments() -> list[DeclareLaunchArgument]:
    file = PathJoinSubstitution([*CONFIG, "tracker.yaml"])
    profile = PathJoinSubstitution([*CONFIG, "fastdds_shm.xml"])
    through = "Fast DDS profile that lets images above 512 KiB through; empty leaves the environment as it is"
    return [
        DeclareLaunchArgument("name", default_value="pcan_tracker", description="name of the node"),
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the node"),
        DeclareLaunchArgument("parameters", default_value=file, description="file with parameters"),
        DeclareLaunchArgument("fastdds_profile", default_value=profile, description=through),
        DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn or error"),
        *(
            DeclareLaunchArgument(name, default_value="", description=text)
            for name, text in PARAMETERS.items()
        ),
    ]


def _environment() -> list[SetEnvironmentVariable]:
    profile = LaunchConfiguration("fastdds_profile")
    wanted = IfCondition(PythonExpression(["'", profile, "' != ''"]))
    tuned = [SetEnvironmentVariable(name, value) for name, value in TUNED.items()]
    return [SetEnvironmentVariable(PROFILE_VARIABLE, profile, condition=wanted), *tuned]


def _node(context: LaunchContext) -> list[LifecycleNode]:
    texts = {name: LaunchConfiguration(name).perform(context) for name in PARAMETERS}
    given = {name: yaml.safe_load(text) if name in LITERALS else text for name, text in texts.items() if text}
    parameters: list[Any] = [LaunchConfiguration("parameters"), *([given] if given else [])]
    node = LifecycleNode(
        package="pcan_ros",
        executable="pcan_tracker",
        name=LaunchConfiguration("name"),
        namespace=LaunchConfiguration("namespace"),
        parameters=parameters,
        arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
        output="screen",
    )
    return [node]
