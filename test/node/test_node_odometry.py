"""The node over DDS with a bag of images, calibrations and transforms: its ids know how the camera turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from nav_msgs.msg import Odometry
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from support import turning
from support.robot import Robot, image, robot
from support.squares import export_squares

from pcan_model.core.space import Pose
from pcan_model.core.structures import CameraPlace, Frame
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.tracking.tracker import Tracker
from pcan_ros.bag.camera_info import calibration_of
from pcan_ros.messages import to_image

SETTINGS = {"cameras": ["/camera/image"], "camera_info": "check"}


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"), **turning.TRACKING)


def header(stamp: float, frame: str) -> Header:
    return Header(stamp=Time(sec=int(stamp), nanosec=round(stamp % 1 * 1e9)), frame_id=frame)


def transform(parent: str, child: str, pose: Pose, stamp: float = 0.0) -> Any:
    from tf2_msgs.msg import TFMessage

    x, y, z = pose.translation.tolist()
    turn = Quaternion(**dict(zip("xyzw", pose.quaternion.tolist(), strict=True)))
    content = Transform(translation=Vector3(x=x, y=y, z=z), rotation=turn)
    return TFMessage(
        transforms=[TransformStamped(header=header(stamp, parent), child_frame_id=child, transform=content)]
    )


def odometry(pose: Pose, stamp: float) -> Odometry:
    """Return where base_link is in odom, as a vehicle's own odometry tells it."""
    message = Odometry(header=header(stamp, "odom"), child_frame_id="base_link")
    place, turn = message.pose.pose.position, message.pose.pose.orientation
    place.x, place.y, place.z = pose.translation.tolist()
    turn.x, turn.y, turn.z, turn.w = pose.quaternion.tolist()
    return message


def ids(node: Robot, *, topic: bool = False) -> list[list[int]]:
    """Play the camera's calibration and images, and its motion; return the ids of the tracks.

    topic  by /odom and with depth images, instead of by /tf
    """
    from tf2_msgs.msg import TFMessage

    client, info = node.client, calibration_of(turning.CAMERA)
    latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    fixed = client.node.create_publisher(TFMessage, "/tf_static", latched)
    tf = client.node.create_publisher(TFMessage, "/tf", 10)
    infos = client.node.create_publisher(CameraInfo, "/camera/camera_info", 10)
    odom = client.node.create_publisher(Odometry, "/odom", 10)
    depths = client.node.create_publisher(Image, "/depth", 10)
    wanted = (tf, fixed, infos, *((odom, depths) if topic else ()))
    node.until(lambda: all(p.get_subscription_count() for p in wanted), "subscribed")
    fixed.publish(transform("base_link", "camera", turning.MOUNTED))
    found = []
    for k, stamp in enumerate(turning.STAMPS):
        info.header = header(stamp, "camera")
        for _ in range(3):  # a reader that has just been matched may miss the first
            infos.publish(info)
            if topic:
                odom.publish(odometry(turning.base(k), stamp))
                depths.publish(to_image(turning.DEPTH, "32FC1", header(stamp, "camera")))
            else:
                tf.publish(transform("odom", "base_link", turning.base(k), stamp))
            client.idle(0.2)
        message = node.track(image(turning.view(k), stamp))
        found.append([instance.track_id for instance in message.instances])
    return found


def test_the_node_has_the_ids_of_the_library_with_the_same_poses(
    squares: Path, message_packages: dict[str, str]
) -> None:
    engine = OnnxEngine(squares, 1)
    tracker, expected = Tracker(engine), list[list[int]]()
    state = tracker.start()
    for k, stamp in enumerate(turning.STAMPS):
        place = CameraPlace(turning.base(k) @ turning.MOUNTED, turning.CAMERA)
        state, tracks = tracker.step(state, Frame(turning.view(k), stamp, place=place))
        expected.append([instance.track_id for instance in tracks.found()])
    assert expected == [[1]] * 4
    with robot(squares, environment=message_packages, odometry_frame="odom", **SETTINGS) as node:
        assert ids(node) == expected
    topics = {"odometry_topic": "/odom", "odometry_depth": "/depth"}
    with robot(squares, environment=message_packages, odometry_frame="odom", **topics, **SETTINGS) as node:
        assert ids(node, topic=True) == expected
        assert "odometry:" not in node.process.log()
    with robot(squares, environment=message_packages, odometry_frame="map", **SETTINGS) as node:
        assert ids(node) == [[1], [2], [1], [2]], "as without odometry"
        assert "odometry: frames 'camera' and 'map' are not connected; known: base_link" in node.process.log()
