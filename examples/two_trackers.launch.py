"""Two trackers in one launch: `ros2 launch ./two_trackers.launch.py front_cameras:=/front/image`.

The arguments of each tracker have a prefix, because without one they would apply to both.
`GroupAction(scoped=True)` keeps the arguments of an include from affecting what follows it.
"""

from __future__ import annotations

from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

TRACKER = [FindPackageShare("pcan_ros"), "launch", "tracker.launch.py"]
DEFAULTS = {  # prefix: the arguments of its tracker that are offered, with their defaults
    "front": {"cameras": "/front/image_raw", "threads": "1", "classes": ""},
    "rear": {"cameras": "/rear/image_raw", "threads": "1", "classes": "car,truck,bus"},
}


def generate_launch_description() -> LaunchDescription:
    """Start both trackers."""
    parts = [part for prefix in DEFAULTS for part in (*_arguments(prefix), _tracker(prefix))]
    return LaunchDescription(parts)


def _arguments(prefix: str) -> list[DeclareLaunchArgument]:
    values = DEFAULTS[prefix].items()
    return [DeclareLaunchArgument(f"{prefix}_{name}", default_value=value) for name, value in values]


def _tracker(prefix: str) -> GroupAction:
    own = {name: LaunchConfiguration(f"{prefix}_{name}") for name in DEFAULTS[prefix]}
    include = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution(TRACKER)),
        launch_arguments={"name": f"{prefix}_tracker", **own}.items(),
    )
    return GroupAction([include], scoped=True)
