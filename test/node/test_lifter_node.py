"""The lifter node: boxes, markers and points of messages; bad input is named and gives no box."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from pcan_ros.msg import TrackedInstanceArray
from rclpy.context import Context
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from support.domains import new_domain
from support.lifting import CAMERA, MOUNTED, points_of, rear_of_car, tracks
from support.robot import PATIENCE

from pcan_model.core.config import CLASSES
from pcan_model.core.masks import Encoding
from pcan_model.core.space import Pose
from pcan_ros.bag.camera_info import calibration_of
from pcan_ros.client.client import Client
from pcan_ros.client.process import node_environment
from pcan_ros.lifter.settings import LifterSettings
from pcan_ros.lifter.writing import POINT
from pcan_ros.messages import to_bytes, to_image, to_tracks
from pcan_ros.node.parameters import ParameterError, described

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("message_packages")
MASK, DEPTH = rear_of_car(12.0, left=1.0)


def header(stamp: float, frame: str = "camera") -> Header:
    return Header(stamp=Time(sec=int(stamp), nanosec=round((stamp % 1) * 1e9)), frame_id=frame)


def tracks_message(stamp: float, mask: Any = MASK) -> TrackedInstanceArray:
    return to_tracks(tracks(mask, stamp=stamp), header(stamp), CLASSES, encoding=Encoding.RLE_COCO)


def depth_message(stamp: float, depth: Any = DEPTH, frame: str = "camera") -> Image:
    return to_image(depth.astype(np.float32), "32FC1", header(stamp, frame))


def info_message() -> CameraInfo:
    return calibration_of(CAMERA)


def transform(parent: str, child: str, pose: Pose, stamp: float = 0.0) -> Any:
    from tf2_msgs.msg import TFMessage

    x, y, z = pose.translation.tolist()
    turn = dict(zip("xyzw", pose.quaternion.tolist(), strict=True))
    one = TransformStamped(header=header(stamp, parent), child_frame_id=child)
    one.transform = Transform(translation=Vector3(x=x, y=y, z=z), rotation=Quaternion(**turn))
    return TFMessage(transforms=[one])


class Published:
    """Stands for a publisher: keeps what is published."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def publish(self, message: Any) -> None:
        self.messages.append(message)

    def get_subscription_count(self) -> int:
        return 1


@pytest.fixture
def context() -> Iterator[Context]:
    made = Context()
    made.init(domain_id=new_domain())
    yield made
    made.shutdown()


def lifter(context: Context, **parameters: Any) -> Any:
    """Return a node that is called instead of spun, with transforms and a calibration."""
    from pcan_ros.lifter.node import LifterNode

    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    node = LifterNode(context=context, parameter_overrides=overrides)
    node._boxes, node._markers, node._cloud = Published(), Published(), Published()
    node._on_transforms(transform("base_link", "camera", MOUNTED), fixed=True)
    node._on_transforms(transform("base_link", "lidar", Pose.planar(0, 0, 0, 2.0)), fixed=True)
    for stamp in (1.0, 2.0):
        moving = Pose.planar(10 * stamp, 0.0, 0.0)
        node._on_transforms(transform("odom", "base_link", moving, stamp), fixed=False)
    node._on_info(info_message())
    return node


def problems(node: Any) -> str:
    return str(node.status.report("lifter", "/tracks").message)


def test_a_track_and_its_depth_are_a_box_in_the_fixed_frame(context: Context) -> None:
    node = lifter(context)
    node._on_tracks(tracks_message(1.5))
    node._on_measured(depth_message(1.5))
    (message,) = node._boxes.messages
    (box,) = message.detections
    assert (message.header.frame_id, message.header.stamp) == ("odom", header(1.5).stamp)
    assert (box.id, box.results[0].hypothesis.class_id) == ("1", "2")
    place, size = box.bbox.center.position, box.bbox.size
    assert place.x == pytest.approx(15 + 12 + size.x / 2, abs=0.2) and place.y == pytest.approx(1.0, abs=0.1)
    assert place.z - size.z / 2 == pytest.approx(0.0, abs=0.1)
    assert box.results[0].pose.covariance[0] > 0 and box.results[0].pose.covariance[35] == 1e3

    _, cube, label = node._markers.messages[0].markers
    assert (cube.id, cube.pose, label.text) == (1, box.bbox.center, "car 1")
    cloud = node._cloud.messages[0]
    rows = np.frombuffer(bytes(cloud.data), POINT)
    assert len(rows) == cloud.width > 100 and set(rows["id"]) == {1} and set(rows["class"]) == {2}
    np.testing.assert_allclose(rows["x"], 27.0, atol=1e-3)
    assert [field.name for field in cloud.fields] == ["x", "y", "z", "rgb", "id", "class"]


def test_lidar_points_are_moved_by_what_the_car_drove_between_their_stamps(context: Context) -> None:
    node = lifter(context, points="/points")
    optical = points_of(DEPTH)
    in_lidar = (Pose.planar(0, 0, 0, 2.0).inverse() @ MOUNTED).apply(optical)
    in_lidar[:, 0] += 0.4  # 0.04 s earlier the car was 0.4 m farther away
    node._on_tracks(tracks_message(1.54))
    node._on_measured(cloud_message(in_lidar, 1.5))
    node._on_measured(cloud_message(in_lidar, 1.7))
    (box,) = node._boxes.messages[0].detections
    assert box.bbox.center.position.x - box.bbox.size.x / 2 == pytest.approx(15.4 + 12, abs=0.15)


def cloud_message(points: Any, stamp: float) -> PointCloud2:
    from sensor_msgs.msg import PointField

    rows = np.ascontiguousarray(points, "<f4")
    fields = [PointField(name=n, offset=4 * k, datatype=7, count=1) for k, n in enumerate("xyz")]
    return PointCloud2(
        header=header(stamp, "lidar"), height=1, width=len(rows), fields=fields, point_step=12,
        row_step=12 * len(rows), data=to_bytes(rows.tobytes()),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("tracks_at", "depth", "named"),
    [
        (1.5, depth_message(1.5, np.full_like(DEPTH, np.nan)), "track 1: 0 points under the mask, exp"),
        (1.5, depth_message(1.5, np.zeros_like(DEPTH)), "track 1: 0 points under the mask"),
        (1.5, depth_message(1.5, DEPTH[::2, ::2]), "depth: expected 320 x 120 like the image of the tracks"),
        (1.5, depth_message(1.5, frame="depth"), "depth: expected frame 'camera' like the tracks"),
        (1.5, to_image(np.zeros((120, 320, 3), np.uint8), "rgb8", header(1.5, "camera")), "got 'rgb8'"),
        (1.5, depth_message(1.7), "the nearest depth image is 0.200 s later than the tracks"),
        (0.5, depth_message(0.5), "the oldest pose is 0.500 s newer than the image"),
        (2.5, depth_message(2.5), "the newest pose is 0.500 s older than the image"),
    ],
)  # fmt: skip
def test_bad_input_is_named_and_gives_no_box(
    context: Context, tracks_at: float, depth: Image, named: str
) -> None:
    node = lifter(context, timeout=0.01)
    node._on_tracks(tracks_message(tracks_at))
    node._on_measured(depth)
    node._on_measured(depth_message(9.0))
    import time

    time.sleep(0.02)
    node._work()
    assert not any(message.detections for message in node._boxes.messages)
    assert named in problems(node)


def test_without_calibration_or_of_another_size_nothing_is_lifted(context: Context) -> None:
    node = lifter(context)
    node._info = None
    node._on_measured(depth_message(1.5))
    node._on_tracks(tracks_message(1.5))
    assert "camera_info: expected a message on /camera/camera_info, got none" in problems(node)
    small = info_message()
    small.width = 160
    node._on_info(small)
    node._on_measured(depth_message(1.6))
    node._on_tracks(tracks_message(1.6))
    assert "camera_info: expected 320 x 120 like the image of the tracks, got 160 x 120" in problems(node)
    assert not node._boxes.messages


def test_a_time_jump_back_starts_anew(context: Context) -> None:
    node = lifter(context)
    node._on_tracks(tracks_message(1.9))
    node._on_measured(depth_message(1.9))
    assert node._state.bodies
    node._on_tracks(tracks_message(1.1))
    assert not node._state.bodies
    for stamp in (1.0, 2.0):  # a looping bag sends its transforms again
        node._on_transforms(transform("odom", "base_link", Pose.planar(0, 0, 0), stamp), fixed=False)
    node._on_measured(depth_message(1.1))
    assert len(node._boxes.messages) == 2 and node._boxes.messages[1].detections


def test_invalid_parameters_are_named(context: Context) -> None:
    from pcan_ros.lifter.node import LifterNode

    for name, value, error in (
        ("fixed_frame", "", "fixed_frame: expected a name"),
        ("far", 0.5, "far: expected 1.0 to 1000.0, got 0.5|far"),
        ("depht", "/d", "depht: unknown parameter; expected one of tracks, depth"),
    ):
        with pytest.raises(Exception, match=error) as caught:
            LifterNode(context=context, parameter_overrides=[Parameter(name, value=value)])
        assert name == "far" or isinstance(caught.value, ParameterError)


def test_the_parameter_file_holds_every_setting_with_its_default() -> None:
    values = yaml.safe_load((ROOT / "config" / "lifter.yaml").read_text())["/**"]["ros__parameters"]
    assert values == {each.name: each.default for each in described(LifterSettings())}


def test_the_node_lifts_over_dds_and_reports(message_packages: dict[str, str]) -> None:
    from tf2_msgs.msg import TFMessage
    from vision_msgs.msg import Detection3DArray

    domain = new_domain()
    command = [
        sys.executable,
        str(ROOT / "scripts" / "pcan_lifter"),
        "--ros-args",
        "-p",
        "status_period:=0.2",
    ]
    environment = node_environment() | message_packages | {"ROS_DOMAIN_ID": str(domain)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        with Client(domain=domain) as client:
            node, boxes, reports = client.node, list[Any](), list[Any]()
            node.create_subscription(Detection3DArray, "/pcan_lifter/boxes", boxes.append, 5)
            node.create_subscription(DiagnosticArray, "/diagnostics", reports.append, 5)
            latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
            node.create_publisher(TFMessage, "/tf_static", latched).publish(
                transform("odom", "camera", MOUNTED)
            )
            kinds = (
                (TrackedInstanceArray, "/pcan_tracker/tracks"),
                (Image, "/camera/depth/image"),
                (CameraInfo, "/camera/camera_info"),
            )
            found, depths, infos = (node.create_publisher(kind, topic, 5) for kind, topic in kinds)
            assert client.wait(
                lambda: all(p.get_subscription_count() for p in (found, depths, infos)), PATIENCE
            )
            assert client.wait(lambda: any("no tracks" in r.status[0].message for r in reports), PATIENCE)
            infos.publish(info_message())
            client.idle(0.5)
            depths.publish(depth_message(5.0))
            found.publish(tracks_message(5.0))
            assert client.wait(lambda: boxes, PATIENCE)
            assert boxes[0].detections[0].bbox.center.position.x == pytest.approx(14.2, abs=0.3)
            assert client.wait(lambda: any(r.status[0].message == "lifting" for r in reports), PATIENCE)
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said


def test_without_tf2_msgs_one_line_says_what_to_install() -> None:
    environment = node_environment() | {"ROS_DOMAIN_ID": str(new_domain())}
    if "tf2_msgs" in os.listdir(Path(yaml.__file__).parents[1]):
        pytest.skip("tf2_msgs is installed")
    command = [sys.executable, str(ROOT / "scripts" / "pcan_lifter")]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    line = (
        "pcan_lifter: needs tf2_msgs, which is not installed: sudo apt-get install ros-$ROS_DISTRO-tf2-msgs"
    )
    assert (run.returncode, run.stderr.splitlines()[-1]) == (2, line)
