"""Autoware's messages: converted from tracks, and published by the bridge process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from pcan_ros.msg import TrackedInstance, TrackedInstanceArray
from std_msgs.msg import Header
from support.domains import new_domain
from support.robot import PATIENCE
from unique_identifier_msgs.msg import UUID

from pcan_model.core.config import CLASSES
from pcan_ros.autoware import LABELS, LabelError, labels_from, to_objects, to_pixel_objects
from pcan_ros.client.client import Client
from pcan_ros.client.process import node_environment

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("message_packages")


def tracks(*instances: TrackedInstance) -> TrackedInstanceArray:
    header = Header(stamp=Time(sec=3, nanosec=123_456_789), frame_id="camera0/camera_optical_link")
    return TrackedInstanceArray(header=header, image_height=100, image_width=200, instances=instances)


def found(name: str, *, x: float = 10.0, y: float = 20.0, state: int = 1) -> TrackedInstance:
    return TrackedInstance(
        uuid=UUID(uuid=range(16)), class_name=name, score=0.75, state=state,
        x=x, y=y, width=30.5, height=40.0, velocity_x=3.0, velocity_y=-1.5,
    )  # fmt: skip


def test_a_region_has_the_tracks_box_score_and_label_and_the_images_stamp() -> None:
    message = to_objects(tracks(found("car")), LABELS)
    assert message.header == tracks().header
    (one,) = message.feature_objects
    (label,) = one.object.classification
    assert (label.label, label.probability, one.object.existence_probability) == (label.CAR, 0.75, 0.75)
    roi = one.feature.roi
    assert (roi.x_offset, roi.y_offset, roi.width, roi.height) == (10, 20, 31, 40)


def test_a_pixel_object_has_the_tracks_id_score_and_label_and_its_box_in_pixels() -> None:
    message = to_pixel_objects(tracks(found("car"), found("car", state=TrackedInstance.LOST)), LABELS)
    assert message.header == tracks().header
    (one,) = message.objects
    (label,) = one.classification
    assert one.object_id == found("car").uuid
    assert (label.label, label.probability, one.existence_probability) == (label.CAR, 0.75, 0.75)
    pose, size = one.kinematics.pose_with_covariance.pose, one.shape.dimensions
    assert (pose.position.x, pose.position.y, pose.position.z) == (25.25, 40.0, 0.0)
    assert (one.shape.type, size.x, size.y, size.z) == (one.shape.BOUNDING_BOX, 30.5, 40.0, 0.0)
    velocity = one.kinematics.twist_with_covariance.twist.linear
    assert (velocity.x, velocity.y, velocity.z) == (3.0, -1.5, 0.0)
    assert one.kinematics.orientation_availability == one.kinematics.UNAVAILABLE


def test_a_box_beyond_the_image_is_clipped() -> None:
    message = to_objects(tracks(found("car", x=-5.0, y=90.0), found("car", x=300.0, y=-90.0)), LABELS)
    left, outside = (each.feature.roi for each in message.feature_objects)
    assert (left.x_offset, left.width, left.y_offset, left.height) == (0, 26, 90, 10)
    assert (outside.x_offset, outside.width, outside.y_offset, outside.height) == (200, 0, 0, 0)


def test_tracks_that_were_not_detected_are_omitted() -> None:
    states = (TrackedInstance.NEW, TrackedInstance.TRACKED, TrackedInstance.LOST, TrackedInstance.REMOVED)
    message = to_objects(tracks(*(found("car", state=state) for state in states)), LABELS)
    assert len(message.feature_objects) == 2


def test_every_class_of_the_shipped_models_but_the_train_has_a_label() -> None:
    assert set(CLASSES) - set(LABELS) == {"train"}
    objects = to_objects(tracks(*map(found, CLASSES)), LABELS).feature_objects
    assert [each.object.classification[0].label for each in objects] == [7, 7, 1, 2, 3, 0, 5, 6]


def test_labels_can_be_changed_and_invalid_ones_are_reported() -> None:
    assert labels_from(["train=TRUCK", ""])["train"] == "TRUCK"
    for wrong in ("train", "train=TRAIN", "=CAR", "train=label"):
        with pytest.raises(LabelError, match="labels: expected CLASS=LABEL such as train=TRUCK, got '"):
            labels_from([wrong])


def start(environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pcan_ros.autoware", "--ros-args", *words]
    return subprocess.Popen(command, env=node_environment() | environment, stderr=subprocess.PIPE, text=True)


def test_the_bridge_forwards_every_camera_with_exact_stamps(message_packages: dict[str, str]) -> None:
    from autoware_perception_msgs.msg import TrackedObjects
    from tier4_perception_msgs.msg import DetectedObjectsWithFeature

    domain = new_domain()
    process = start(
        message_packages | {"ROS_DOMAIN_ID": str(domain)},
        "-r", "__ns:=/detection", "-p", "tracks:=/t/camera0/tracks,/t/camera1/tracks",
    )  # fmt: skip
    try:
        with Client(domain=domain) as client:
            received: list[Any] = []
            objects: list[Any] = []
            for number in range(2):
                topic = f"/detection/rois{number}"
                client.node.create_subscription(DetectedObjectsWithFeature, topic, received.append, 5)
                topic = f"/detection/pixel_objects{number}"
                client.node.create_subscription(TrackedObjects, topic, objects.append, 5)
            publisher = client.node.create_publisher(TrackedInstanceArray, "/t/camera1/tracks", 5)
            assert client.wait(lambda: publisher.get_subscription_count(), PATIENCE)
            assert client.wait(lambda: client.node.count_publishers("/detection/pixel_objects1"), PATIENCE)
            client.idle(0.3)
            publisher.publish(tracks(found("bus")))
            assert client.wait(lambda: received and objects, PATIENCE)
            assert objects == [to_pixel_objects(tracks(found("bus")), LABELS)]
            assert received[0].header == tracks().header
            assert [each.object.classification[0].label for each in received[0].feature_objects] == [3]
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (0, "")


def test_it_explains_itself() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "pcan_autoware"), "--help"]
    run = subprocess.run(
        command, env=node_environment(), capture_output=True, text=True, timeout=60, check=True
    )
    assert (
        run.stdout.startswith("usage: pcan_autoware") and "tracks: topics, separated by commas" in run.stdout
    )


def test_a_wrong_parameter_is_one_line(message_packages: dict[str, str]) -> None:
    process = start(message_packages, "-p", "labels:=train=TRAIN")
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert said == "pcan_autoware: labels: expected CLASS=LABEL such as train=TRUCK, got 'train=TRAIN'\n"


def test_without_autowares_messages_the_missing_packages_are_reported() -> None:
    process = start({"PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))})
    if process.poll() is None:
        try:
            _, said = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            pytest.skip("autoware_perception_msgs is installed")
    line = "needs autoware_perception_msgs, which is not installed: source an Autoware workspace"
    assert said == f"pcan_autoware: {line}\n"
