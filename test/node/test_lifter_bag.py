"""The lifter over DDS on a bag with all topics: its boxes are where the objects of the drive are."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.drive_bag import FRAME, NAME, drive_with_bag

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from pcan_ros.msg import TrackedInstanceArray
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from support.domains import new_domain
from support.robot import PATIENCE

from pcan_model.core.config import CLASSES
from pcan_model.core.masks import Encoding
from pcan_model.core.stamps import seconds
from pcan_model.data.bags.reading import Bag
from pcan_model.data.datasets.scalabel import read_clips
from pcan_model.data.scenes import Scenes
from pcan_model.data.true_tracks import true_tracks
from pcan_ros.client.client import Client
from pcan_ros.client.process import NodeProcess
from pcan_ros.messages import to_tracks

PLAYED = ("/tf_static", "/tf", "/odom", "/camera/camera_info", "/camera/depth/image", "/points")


def play(client: Client, bag: Path) -> None:
    """Publish the messages of a bag as they are."""
    with Bag(bag) as opened:
        messages = [*opened.messages(PLAYED)]
    publishers = {}
    for topic, kind in {m.connection.topic: m.connection.msgtype for m in messages}.items():
        package, _, name = kind.split("/")
        quality = QoSProfile(depth=9)
        if topic == "/tf_static":
            quality.durability = QoSDurabilityPolicy.TRANSIENT_LOCAL
        message = getattr(importlib.import_module(f"{package}.msg"), name)
        publishers[topic] = client.node.create_publisher(message, topic, quality)
    wanted = ("/tf", "/tf_static", "/camera/camera_info", "/points")
    assert client.wait(lambda: all(publishers[t].get_subscription_count() for t in wanted), PATIENCE)
    client.idle(1.0)  # until the node has discovered the client, too
    for message in messages:
        publishers[message.connection.topic].publish(message.raw)
    client.idle(0.5)


def test_boxes_of_a_bag_are_where_its_objects_are(
    message_packages: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    from diagnostic_msgs.msg import DiagnosticArray
    from vision_msgs.msg import Detection3DArray

    root, domain = drive_with_bag(tmp_path_factory), new_domain()
    clip, scenes, boxes = read_clips(root)[0], Scenes(root, NAME), list[Any]()
    reports = list[Any]()
    environment = message_packages | {"ROS_DOMAIN_ID": str(domain)}
    parameters = {"points": "/points", "timeout": 2.0}
    with (
        NodeProcess(parameters, environment, module="pcan_ros.lifter.start") as node,
        Client(domain=domain) as client,
    ):
        client.node.create_subscription(Detection3DArray, "/pcan_lifter/boxes", boxes.append, 5)
        client.node.create_subscription(DiagnosticArray, "/diagnostics", reports.append, 5)
        found = client.node.create_publisher(TrackedInstanceArray, "/pcan_tracker/tracks", 5)
        assert client.wait(found.get_subscription_count, PATIENCE, node.alive)
        play(client, root / "bag")
        for index in range(2):
            time = scenes.read(index).time
            tracks = true_tracks(clip.frame(index), seconds(time), index)
            header = Header(stamp=Time(sec=time // 10**9, nanosec=time % 10**9), frame_id=FRAME)
            found.publish(to_tracks(tracks, header, CLASSES, encoding=Encoding.RLE_COCO))
        assert client.wait(lambda: len(boxes) == 2, PATIENCE, node.alive), reports[-1].status[0].message
    truth = {box.track_id: box.centre for box in scenes.read(1).objects}
    measured = {int(each.id): each.bbox.center.position for each in boxes[1].detections}
    apart = [np.hypot(place.x - truth[key][0], place.y - truth[key][1]) for key, place in measured.items()]
    assert boxes[1].header.frame_id == "odom" and len(apart) >= 2
    assert np.median(apart) < 1.5
