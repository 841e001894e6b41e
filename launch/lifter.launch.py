"""Start the lifter node; `ros2 launch pcan_ros lifter.launch.py --show-args` lists the arguments."""

from __future__ import annotations

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchContext, LaunchDescription
from pcan_ros.launch_arguments import parameter_file

FILE = [FindPackageShare("pcan_ros"), "config", "lifter.yaml"]
ARGUMENTS = {  # parameters of the node; an empty one leaves the parameter file's value
    "tracks": "topic of the tracks",
    "depth": "topic of a depth image registered to the images of the tracks",
    "points": "topic of lidar points, used instead of the depth image",
    "camera_info": "topic of the calibration of the images",
    "fixed_frame": "frame with z up in which boxes are published",
}


def generate_launch_description() -> LaunchDescription:
    """Start one lifter for one camera."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("name", default_value="pcan_lifter", description="name of the node"),
            DeclareLaunchArgument(
                "use_sim_time", default_value="false", description="use the time on /clock"
            ),
            DeclareLaunchArgument(
                "parameters", default_value=PathJoinSubstitution(FILE), description="parameter file"
            ),
            *(
                DeclareLaunchArgument(name, default_value="", description=text)
                for name, text in ARGUMENTS.items()
            ),
            OpaqueFunction(function=_node),
        ]
    )


def _node(context: LaunchContext) -> list[Node]:
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    given = {name: value(name) for name in ARGUMENTS if value(name)}
    clock = {"use_sim_time": value("use_sim_time") == "true"}
    return [
        Node(
            package="pcan_ros",
            executable="pcan_lifter",
            name=value("name"),
            parameters=[parameter_file(value("parameters")), given | clock],
            output="screen",
        )
    ]
