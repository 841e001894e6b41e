"""Parameters, mailbox and small parts of the node, without ROS."""

from __future__ import annotations

import threading
from dataclasses import fields, replace

import pytest

from pcan_model.core.masks import Encoding
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.inference.backends import EngineOptions
from pcan_ros.node.mailbox import Counts, Mailbox
from pcan_ros.node.parameters import (
    ParameterError,
    Settings,
    check_budget,
    parameters,
    reject_unknown,
    settings_from,
    thresholds_from,
)
from pcan_ros.node.statistics import CameraStatistics
from pcan_ros.node.throttle import Throttle

NOT_HERE = {"capacity", "association", "match_iou", "motion", "camera_motion", "overlap"}  # fixed at start


def test_every_field_is_a_described_parameter() -> None:
    known = parameters(TrackerConfig())
    own = len(fields(Settings)) - 1 + len(fields(EngineOptions))  # `engine` holds the latter
    assert len(known) == own + len(fields(TrackerConfig)) - len(NOT_HERE)
    assert all(len(p.description) > 10 for p in known.values()), "a field without a description"


def test_defaults_of_the_thresholds_are_the_models() -> None:
    assert parameters(TrackerConfig(init_score=0.61))["tracker.init_score"].default == 0.61


def test_a_latency_budget_needs_a_tracker_that_keeps_the_last_view() -> None:
    check_budget(Settings(latency_budget=0.05), TrackerConfig(motion="kalman", camera_motion=True))
    check_budget(Settings(), TrackerConfig())
    with pytest.raises(ParameterError, match=r"size: auto: expected a latency_budget > 0"):
        check_budget(Settings(engine=EngineOptions(size="auto")), TrackerConfig())
    with pytest.raises(ParameterError, match=r"latency_budget: expected 0 with this model.*got 0\.05"):
        check_budget(Settings(latency_budget=0.05), TrackerConfig())


def test_thresholds_may_change_at_runtime_and_sizes_may_not() -> None:
    known = parameters(TrackerConfig())
    runtime = {name for name, p in known.items() if not p.read_only}
    assert {"tracker.init_score", "mask_encoding", "publish_lost"} <= runtime
    assert not {f"tracker.{name}" for name in NOT_HERE} & set(known)
    assert not {"model", "cameras", "threads"} & runtime
    assert "tracker.capacity" not in known, "a size of the exported network"


def test_values_outside_range_or_choices_are_rejected_by_name() -> None:
    known = parameters(TrackerConfig())
    with pytest.raises(ParameterError, match=r"tracker.momentum: expected 0.0 to 1.0, got 1.2"):
        known["tracker.momentum"].check(1.2)
    with pytest.raises(ParameterError, match=r"backend: expected one of auto, .*; got 'abacus'"):
        known["backend"].check("abacus")


def test_a_missing_value_is_rejected_by_name() -> None:
    with pytest.raises(ParameterError, match=r"cameras: expected a value such as \['~/image'\], got none"):
        parameters(TrackerConfig())["cameras"].check(None)


def test_the_baseline_that_needs_scipy_is_rejected_on_a_robot() -> None:
    assert "tracker.association" not in parameters(TrackerConfig())
    with pytest.raises(ParameterError, match="association: expected quasi_dense, got sort_iou"):
        thresholds_from({}, TrackerConfig(association="sort_iou"))


def test_defaults_are_inside_their_own_ranges() -> None:
    for parameter in parameters(TrackerConfig()).values():
        parameter.check(parameter.default)


def test_an_unknown_name_is_rejected() -> None:
    known = parameters(TrackerConfig())
    reject_unknown(["model", "use_sim_time", "qos_overrides./a.subscription.depth"], known)
    reject_unknown(["start_type_description_service"], known)  # rclpy's own, from Jazzy on
    with pytest.raises(ParameterError, match="modle: unknown parameter; expected one of model"):
        reject_unknown(["modle"], known)


def test_values_become_settings_and_thresholds() -> None:
    values = {name: p.default for name, p in parameters(TrackerConfig()).items()}
    values |= {"mask_encoding": "bitmap", "tracker.lost_frames": 3, "backend": "openvino", "threads": 2}
    engine = EngineOptions("openvino", threads=2)
    assert settings_from(values) == replace(Settings(), mask_encoding="bitmap", engine=engine)
    assert settings_from(values).encoding == Encoding.BITMAP
    assert thresholds_from(values, TrackerConfig()) == TrackerConfig(lost_frames=3)


@pytest.mark.parametrize("cameras", [[], [""], ["a", "a"]])
def test_cameras_are_named_once_each(cameras: list[str]) -> None:
    with pytest.raises(ParameterError, match="cameras: expected"):
        settings_from({"cameras": cameras})


def test_only_the_newest_message_is_kept_and_the_replaced_are_counted() -> None:
    box = Mailbox(1)
    for message in "abc":
        box.put(0, message, 0.0)
    assert [arrival.message for arrival in box.peek()] == ["c"]
    assert [arrival.message for arrival in box.take(0)] == ["c"]
    assert box.take(0) == box.peek() == []
    assert (box.counts(0).received, box.counts(0).replaced) == (3, 2)


def test_waiting_messages_can_be_discarded_and_count_as_dropped() -> None:
    box = Mailbox(2)
    box.put(1, "waiting", 0.0)
    box.clear()
    assert box.take(0) == []
    assert [(c.received, c.replaced) for c in map(box.counts, range(2))] == [(0, 0), (1, 1)]


def test_cameras_are_served_in_turn_at_any_rates() -> None:
    box = Mailbox(3)
    served = []
    for _ in range(6):
        box.put(0, "fast", 0.0)
        box.put(2, "slow", 0.0)
        (arrival,) = box.take(0)
        served.append(arrival.camera)
    assert served == [0, 2, 0, 2, 0, 2]


def test_all_waiting_messages_can_be_taken_at_once() -> None:
    box = Mailbox(3)
    for camera in (2, 0):
        box.put(camera, "new", 0.0)
    assert [arrival.camera for arrival in box.peek(3)] == [0, 2]
    assert [arrival.camera for arrival in box.take(0, 3)] == [0, 2]
    assert box.take(0, 3) == []


def test_a_waiting_worker_wakes_for_a_message_and_for_the_end() -> None:
    box = Mailbox(1)
    threading.Timer(0.05, box.put, (0, "late", 0.0)).start()
    assert [arrival.message for arrival in box.take(5)] == ["late"]
    threading.Timer(0.05, box.close).start()
    assert box.take(5) == []


def test_a_throttle_passes_one_message_of_a_kind_and_counts_the_others() -> None:
    now = [0.0]
    throttle = Throttle(5.0, lambda: now[0])
    admitted = [throttle.admit(kind, "text") for kind in ("a", "a", "b", "a")]
    assert admitted == ["text", None, "text", None]
    now[0] = 5.0
    assert throttle.admit("a", "text") == "text (2 more like this)"


def test_latency_percentiles_cover_the_last_frames() -> None:
    camera = CameraStatistics("/image", Counts)
    assert camera.percentiles("processing") is None
    for i in range(101):
        camera.record(taken=0.0, now=i / 100, age=0.0)
    found = camera.percentiles("processing")
    assert camera.processed == 101
    assert found is not None
    assert (found.p50, found.p95) == pytest.approx((0.5, 0.95))
