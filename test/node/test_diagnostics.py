"""Each problem of a camera has its own message on /diagnostics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from support.robot import Robot, image, robot
from support.squares import export_squares, pixels

from pcan_model.core.structures import FrameKind
from pcan_model.tracking.pace import Pace
from pcan_ros.node.diagnostics import ClockState, Health, Level, Recent, summarize, to_status
from pcan_ros.node.mailbox import Counts
from pcan_ros.node.node_status import LastReport, tracker_status
from pcan_ros.node.offers import Offers
from pcan_ros.node.statistics import CameraStatistics

WELL = Health(
    topic="/image", counts=Counts(9, 0), processed=9, bad=0, new_bad=0, silence=0.1, offers=Offers(1),
    enabled=True, last_error="",
)  # fmt: skip
NEVER = {"silence": 9.0, "counts": Counts()}


@pytest.mark.parametrize(
    ("change", "level", "text"),
    [
        ({}, 0, "tracking"),
        ({"enabled": False, "silence": 9.0}, 0, "disabled by ~/enable"),
        ({**NEVER, "offers": Offers()}, 1, "/image has no publisher"),
        ({"silence": 9.0, "offers": Offers()}, 1, "/image has no publisher any more"),
        ({**NEVER, "offers": Offers(remedy="set compressed:=true")}, 1, "arrived: set compressed:=true"),
        ({**NEVER, "offers": Offers(1, unreliable=1)}, 1, "set reliability:=best_effort"),
        ({"silence": 9.0}, 1, "the camera stopped: /image is advertised, its last image arrived 9 s ago"),
        (
            NEVER,
            1,
            "no image arrived for 9 s: either none is published (ros2 topic hz), or the transport drops",
        ),
        (NEVER, 1, "best effort drops every image above 512 KiB"),
        ({"new_bad": 3, "last_error": "step: expected"}, 2, "3 unreadable images: step: expected"),
        ({"recent": Recent(5.0, 100, 40)}, 1, "40% of the images are dropped: 20.0 arrive per second, 12.0"),
        ({"recent": Recent(5.0, 100, 33)}, 0, "tracking"),
        ({"recent": Recent(5.0, 2, 1)}, 0, "tracking"),
        (
            {"clock": ClockState(behind=1.8e9)},
            1,
            "1.8e+09 s behind the node's clock, so latencies are meaningless",
        ),
        ({"clock": ClockState(behind=1.8e9)}, 1, "use_sim_time:=true"),
        ({"clock": ClockState(True, False, -1.8e9)}, 1, "1.8e+09 s ahead of the node's clock"),
        ({"clock": ClockState(True, True)}, 1, "use_sim_time is set, but /clock is not published"),
        ({"clock": ClockState(behind=2.0)}, 0, "tracking"),
    ],
)
def test_each_cause_has_its_own_message(change: dict[str, Any], level: int, text: str) -> None:
    got, message = summarize(replace(WELL, **change))
    assert got == level and text in message


def test_several_problems_are_all_reported_with_the_highest_level() -> None:
    level, text = summarize(replace(WELL, new_bad=1, last_error="step", recent=Recent(5.0, 100, 50)))
    assert level == Level.ERROR
    assert "1 unreadable images: step; 50% of the images are dropped" in text


def test_the_rhythm_of_key_frames_is_reported_with_a_budget_only() -> None:
    camera = CameraStatistics("/image", Counts)
    latency = camera.record(taken=0.0, now=0.1, age=0.1)
    plain = {pair.key for pair in to_status("node", WELL, camera, {}).values}
    camera.pace, camera.input_size = Pace(0.033, interval=2, key=0.057), "384x640"
    told = {pair.key: pair.value for pair in to_status("node", WELL, camera, {}).values}
    status = tracker_status(Header(), camera, latency, None, FrameKind.PROPAGATED)

    assert told.keys() - plain == {"key interval", "key / propagated frame", "input size"}
    assert (told["key interval"], told["key / propagated frame"]) == ("2 frames", "57.0 ms / -")
    assert (status.key_frame, status.key_interval, status.input_size) == (False, 2, "384x640")


def test_drops_are_counted_over_the_last_seconds() -> None:
    last = LastReport(0.0)
    assert last.recent(0.0, Counts(0, 0)) == Recent()
    assert last.recent(4.0, Counts(40, 10)) == Recent()
    assert last.recent(6.0, Counts(60, 30)) == Recent(6.0, 60, 30)
    assert last.recent(10.0, Counts(100, 30)) == Recent(6.0, 60, 20)


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


@contextmanager
def reporting(squares: Path, **parameters: Any) -> Iterator[tuple[Robot, list[DiagnosticArray]]]:
    """Start a node that reports often; yield it and what it reports."""
    with robot(squares, connect=False, status_period=0.2, **{"cameras": ["/camera"], **parameters}) as r:
        r.client.node.destroy_publisher(r.client._images)
        yield r, r.collect(DiagnosticArray, "/diagnostics")


def until(r: Robot, reports: list[DiagnosticArray], text: str) -> None:
    """Wait until the newest report has a text."""
    r.until(lambda: reports and text in reports[-1].status[0].message, text)


def test_images_in_the_other_form_are_reported(squares: Path) -> None:
    with reporting(squares) as (r, reports):
        node = r.client.node
        until(r, reports, "/camera has no publisher")
        node.create_publisher(CompressedImage, "/camera/compressed", 1)
        until(r, reports, "no image arrived: /camera/compressed is published: set compressed:=true")
    with reporting(squares, compressed=True) as (r, reports):
        r.client.node.create_publisher(Image, "/camera", 1)
        until(r, reports, "no image arrived: /camera is published: set compressed:=false")


def test_a_topic_of_another_type_is_reported(squares: Path) -> None:
    with reporting(squares, cameras=["/camera/compressed"]) as (r, reports):
        r.client.node.create_publisher(CompressedImage, "/camera/compressed", 1)
        until(r, reports, "set cameras to /camera and compressed:=true")


def test_a_reliability_set_by_an_override_counts(squares: Path) -> None:
    override = {"qos_overrides./camera.subscription.reliability": "reliable"}
    with reporting(squares, reliability="best_effort", **override) as (r, reports):
        quality = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        r.client.node.create_publisher(Image, "/camera", quality)
        until(r, reports, "/camera is published best effort, this node requests reliable")


def test_a_stopped_camera_and_stamps_of_another_time_are_distinguished(squares: Path) -> None:
    with reporting(squares) as (r, reports):
        camera = r.client.node.create_publisher(Image, "/camera", 5)
        r.until(camera.get_subscription_count, "subscribed")
        shown = pixels({2: (5, 10)})
        camera.publish(image(shown, time.time()))
        until(r, reports, "tracking")
        camera.publish(image(shown, 1.0))
        until(r, reports, "s behind the node's clock, so latencies are meaningless: use_sim_time:=true")
        until(r, reports, "the camera stopped: /camera is advertised")
        r.client.node.destroy_publisher(camera)
        until(r, reports, "/camera has no publisher any more")


def test_simulated_time_without_a_clock_is_reported(squares: Path) -> None:
    with reporting(squares, use_sim_time=True) as (r, reports):
        until(r, reports, "use_sim_time is set, but /clock is not published")
