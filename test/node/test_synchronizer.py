"""Synchronised cameras: images with matching stamps are tracked together, others are counted."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from support.robot import PATIENCE, image, robot
from support.squares import export_squares, pixels

from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.tracking.tracker import Tracker
from pcan_ros.client.client import Client
from pcan_ros.node.camera import TimeLimits
from pcan_ros.node.parameters import ParameterError, Settings
from pcan_ros.node.pipeline import FrameResult, Pipeline
from pcan_ros.node.synchronizer import QUEUE, ImageSynchronizer, message_filters

ROOT = Path(__file__).resolve().parents[2]
CAR = 2


@pytest.fixture(autouse=True, params=["installed", "stand-in"])
def filters(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "installed":
        pytest.importorskip("message_filters", reason="message_filters comes with a ROS 2 distribution")
        return
    from support import message_filters_stand_in

    monkeypatch.setitem(sys.modules, "message_filters", message_filters_stand_in)


class Instants:
    """Keeps the stamps of what is delivered, in milliseconds, and what is lost."""

    def __init__(self) -> None:
        self.delivered: list[tuple[int, ...]] = []
        self.unmatched = [0, 0, 0]

    def deliver(self, messages: Sequence[Any]) -> None:
        self.delivered.append(tuple(round(m.header.stamp.nanosec / 1e6) for m in messages))

    def count_unmatched(self, camera: int, number: int) -> None:
        self.unmatched[camera] += number


def message(milliseconds: int) -> Any:
    stamp = Time(sec=milliseconds // 1000, nanosec=milliseconds % 1000 * 1_000_000)
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp))


def cameras(mode: str, slop: float = 0.02, number: int = 2) -> tuple[ImageSynchronizer, Instants]:
    seen = Instants()
    return ImageSynchronizer(
        number, mode, slop, deliver=seen.deliver, count_unmatched=seen.count_unmatched
    ), seen


def test_images_with_the_same_stamp_are_delivered_together_in_any_order() -> None:
    synchronized, seen = cameras("exact", number=3)
    for camera, stamp in ((0, 100), (1, 100), (1, 200), (0, 200), (2, 100), (2, 200)):
        synchronized.put(camera, message(stamp))
    assert seen.delivered == [(100, 100, 100), (200, 200, 200)]
    assert seen.unmatched == [0, 0, 0]


def test_an_unmatched_image_is_counted_when_later_images_match() -> None:
    synchronized, seen = cameras("exact")
    for camera, stamp in ((0, 100), (0, 200), (1, 200), (0, 300)):
        synchronized.put(camera, message(stamp))
    assert seen.delivered == [(200, 200)]
    assert seen.unmatched[:2] == [1, 0], "300 may still find one"


@pytest.mark.parametrize(("slop", "delivered"), [(0.02, [(100, 115)]), (0.01, [])])
def test_approximate_matches_are_within_the_slop(slop: float, delivered: list[tuple[int, int]]) -> None:
    synchronized, seen = cameras("approximate", slop)
    synchronized.put(0, message(100))
    synchronized.put(1, message(115))
    assert seen.delivered == delivered


def test_a_camera_without_matches_loses_images_beyond_its_queue() -> None:
    synchronized, seen = cameras("exact")
    for stamp in range(0, 10 * (QUEUE + 5), 10):
        synchronized.put(0, message(stamp))
    assert seen.unmatched[:2] == [5, 0]


def test_images_match_again_after_a_bag_loops() -> None:
    synchronized, seen = cameras("exact")
    for stamp in (800, 900):
        synchronized.put(0, message(stamp))
    for stamp in range(0, 10 * QUEUE, 10):
        synchronized.put(0, message(stamp))
        synchronized.put(1, message(stamp))
    assert len(seen.delivered) == QUEUE and seen.unmatched[:2] == [2, 0]


def test_clearing_discards_and_counts_the_waiting_images() -> None:
    synchronized, seen = cameras("exact")
    synchronized.put(0, message(100))
    synchronized.clear()
    synchronized.put(1, message(100))
    assert not seen.delivered and seen.unmatched[:2] == [1, 0]


def test_without_the_package_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "message_filters", None)
    with pytest.raises(ParameterError, match=r"sync: exact requires message_filters, .*-message-filters$"):
        message_filters("exact")


def test_a_single_camera_cannot_be_synchronised() -> None:
    with pytest.raises(ParameterError, match="sync: expected none for a single camera, got exact"):
        Settings(sync="exact")


class Log:
    """Keeps what the pipeline says."""

    def __init__(self) -> None:
        self.results: list[FrameResult] = []

    def on_result(self, result: FrameResult) -> None:
        self.results.append(result)

    def on_bad(self, camera: int, error: Exception) -> None:
        raise AssertionError(error)

    on_failure: Any = on_bad


def drawn(milliseconds: int) -> Any:
    made, image = message(milliseconds), pixels({CAR: (10, 10)})
    made.__dict__.update(encoding="rgb8", height=64, width=96, step=288, is_bigendian=0, data=image.tobytes())
    return made


def test_matching_images_are_replaced_together_and_tracked_together(tmp_path: Path) -> None:
    log, engine = Log(), OnnxEngine(export_squares(tmp_path / "squares"), 1)
    pipeline = Pipeline(Tracker(engine), 2, TimeLimits(), log, synchronized=True)
    put = pipeline.mailbox.put_together
    cameras = ImageSynchronizer(
        2, "exact", 0.0, deliver=lambda m: put(m, 0.0), count_unmatched=pipeline.mailbox.count_unmatched
    )
    for stamp in (100, 200, 300):
        for camera in range(2):
            pipeline.mailbox.arrived(camera)
            cameras.put(camera, drawn(stamp))
    taken = pipeline.mailbox.take(1.0, 2)
    assert [a.message.header.stamp.nanosec for a in taken] == [300_000_000] * 2
    pipeline._try(taken)
    assert sorted((r.camera, r.header.stamp.nanosec) for r in log.results) == [
        (0, 300_000_000),
        (1, 300_000_000),
    ]
    counts = pipeline.mailbox.counts(0)
    assert (counts.received, counts.replaced, counts.unmatched, counts.dropped) == (3, 2, 0, 2)


def test_over_dds_two_cameras_publish_tracks_with_equal_stamps(
    tmp_path: Path,
) -> None:
    """Of camera 0 there are twice as many images; the node gets whichever package this test has."""
    package = tmp_path / "message_filters.py"
    package.write_text(Path(str(sys.modules["message_filters"].__file__)).read_text())
    path = os.pathsep.join((str(tmp_path), str(ROOT), str(ROOT / "test"), os.environ.get("PYTHONPATH", "")))
    options = {
        "cameras": ["/left/image", "/right/image"],
        "sync": "exact",
        "environment": {"PYTHONPATH": path},
    }
    with (
        robot(export_squares(tmp_path / "squares"), **options) as left,
        Client(image_topic="/right/image", outputs="/pcan_tracker/camera1", domain=left.domain) as right,
    ):
        right.find_node(PATIENCE, left.process.alive)
        for instant in range(3):
            left.client.send(image(pixels({CAR: (10, 10)}), instant + 0.5))
            left.client.send(image(pixels({CAR: (11, 10)}), instant + 1.0))
            right.send(image(pixels({CAR: (12, 10)}), instant + 1.0))
            left.until(lambda n=instant: len(left.client.replies) > n, "answered")
            assert right.wait(lambda n=instant: len(right.replies) > n, PATIENCE)
        stamps = [[a.message.header.stamp for a in c.replies] for c in (left.client, right)]
        assert stamps[0] == stamps[1] and [stamp.sec for stamp in stamps[0]] == [1, 2, 3]
        left.until(lambda: len(left.client.statuses) == 3, "three statuses")
        status = left.client.statuses[-1]
        assert (status.frames_received, status.frames_processed, status.frames_dropped) == (6, 3, 3)
