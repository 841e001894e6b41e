"""Places of cameras from transforms: known, extrapolated a little, or unknown, but never wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from nav_msgs.msg import Odometry
from std_msgs.msg import Header
from support.lifting import CAMERA, MOUNTED

from pcan_model.core.space import Pose
from pcan_ros.bag.camera_info import calibration_of
from pcan_ros.messages import to_image
from pcan_ros.node.parameters import ParameterError, Settings
from pcan_ros.node.places import Places

WARNINGS: list[str] = []


class Subscriptions:
    """Stands for a node that only subscribes."""

    def __init__(self) -> None:
        self.topics: list[str] = []

    def create_subscription(self, kind: Any, topic: str, callback: Any, quality: Any) -> str:
        self.topics.append(topic)
        return topic

    def destroy_subscription(self, topic: str) -> None:
        self.topics.remove(topic)


def header(stamp: float, frame: str = "camera") -> Header:
    return Header(stamp=Time(sec=int(stamp), nanosec=round(stamp % 1 * 1e9)), frame_id=frame)


def transforms(parent: str, child: str, pose: Pose, stamp: float = 0.0) -> Any:
    x, y, z = pose.translation.tolist()
    turn = Quaternion(**dict(zip("xyzw", pose.quaternion.tolist(), strict=True)))
    content = Transform(translation=Vector3(x=x, y=y, z=z), rotation=turn)
    one = TransformStamped(header=header(stamp, parent), child_frame_id=child, transform=content)
    return SimpleNamespace(transforms=[one])


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    stand_in = SimpleNamespace(TFMessage=object)
    monkeypatch.setitem(sys.modules, "tf2_msgs", SimpleNamespace(msg=stand_in))
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", stand_in)
    node: Any = Subscriptions()
    made = Places(node, "odom", rectified=False, odometry="/odom", depth="/depth", warn=WARNINGS.append)
    assert node.topics == ["/tf", "/tf_static", "/odom", "/depth"]
    WARNINGS.clear()
    made.add(transforms("base", "camera", MOUNTED), fixed=True)
    for stamp in (1.0, 1.1):
        made.add(transforms("odom", "base", Pose.planar(10 * stamp, 0, 0), stamp), fixed=False)
    yield made
    made.destroy()
    assert node.topics == []


def test_a_place_is_the_pose_of_the_optical_frame_and_the_calibration(places: Places) -> None:
    place = places.place(header(1.05), calibration_of(CAMERA))
    assert place is not None and place.camera == CAMERA
    np.testing.assert_allclose(place.pose.translation, [10.5, 0.0, 1.5])
    ahead = places.place(header(1.15), calibration_of(CAMERA))
    assert ahead is not None and ahead.pose.translation[0] == pytest.approx(11.5)


def test_without_transform_or_calibration_the_place_is_unknown(places: Places) -> None:
    info = calibration_of(CAMERA)
    assert places.place(header(1.05), None) is None
    assert places.place(header(1.5), info) is None
    assert WARNINGS == ["odometry: frame 'base': the newest pose is 0.400 s older than the image"]
    assert places.place(header(1.05, "other"), info) is None
    info.k[0] = 0.0
    assert places.place(header(1.05), info) is None


def test_a_place_has_the_depth_image_of_its_stamp(places: Places) -> None:
    info = calibration_of(CAMERA)
    depth = np.full((CAMERA.height, CAMERA.width), 7.5, np.float32)
    for stamp, image in ((1.0, depth[:50]), (1.05, depth), (1.1, depth + 1)):
        places.add_depth(to_image(image, "32FC1", header(stamp)))
    place = places.place(header(1.05), info)
    assert place is not None and place.depth is not None and place.depth[0, 0] == 7.5
    later = places.place(header(1.08), info)
    assert later is not None and later.depth is None
    assert places.place(header(1.0), info) is None, "never a depth of another size"
    assert "CameraPlace: depth: expected (120, 320) like the camera, got (50, 320)" in WARNINGS[-1]


def odometry(stamp: float, x: float, w: float = 1.0) -> Odometry:
    message = Odometry(header=header(stamp, "odom"), child_frame_id="base")
    message.pose.pose.position.x, message.pose.pose.orientation.w = x, w
    return message


def test_odometry_gives_the_pose_of_the_vehicle_as_a_transform_does(places: Places) -> None:
    places.add_odometry(odometry(1.2, 12.0))
    places.add_odometry(odometry(1.3, 99.0, w=0.0))
    place = places.place(header(1.2), calibration_of(CAMERA))
    assert place is not None
    np.testing.assert_allclose(place.pose.translation, [12.0, 0.0, 1.5])


def test_an_invalid_transform_is_ignored(places: Places) -> None:
    broken = transforms("odom", "base", Pose.planar(0, 0, 0), 1.2)
    broken.transforms[0].transform.rotation.w = 0.0
    places.add(broken, fixed=False)
    assert places.place(header(1.05), calibration_of(CAMERA)) is not None


def test_what_it_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ParameterError, match="odometry_frame: expected camera_info check or rectify"):
        Settings(odometry_frame="odom")
    with pytest.raises(ParameterError, match="odometry_topic: expected an odometry_frame with it"):
        Settings(odometry_topic="/odom")
    with pytest.raises(ParameterError, match="odometry_depth: expected a single camera and an odometry_f"):
        Settings(odometry_depth="/depth")
    monkeypatch.setitem(sys.modules, "tf2_msgs", None)
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", None)
    node: Any = Subscriptions()
    with pytest.raises(ParameterError, match=r"odometry_frame: odom requires tf2_msgs, .*-tf2-msgs$"):
        Places(node, "odom", rectified=False, odometry="", depth="", warn=WARNINGS.append)
