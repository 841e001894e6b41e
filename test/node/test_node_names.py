"""The node in the test process: topic names, quality of service, transitions."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy")

from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSReliabilityPolicy
from support.domains import new_domain
from support.squares import export_squares

from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.inference.manifest import ModelFiles
from pcan_ros.node import node_parameters
from pcan_ros.node.node import TrackerNode
from pcan_ros.node.parameters import ParameterError
from pcan_ros.node.transitions import reject_invalid


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


@contextmanager
def tracker_node(model: Path, *rules: str, **parameters: Any) -> Iterator[TrackerNode]:
    """Make a node with remapping rules; parameters' names use __ for a dot and keep their slashes."""
    context = Context()
    context.init(domain_id=new_domain())
    values = {"model": str(model), "backend": "onnxruntime", "threads": 1, **parameters}
    overrides = [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]
    words = ["--ros-args", *(word for rule in rules for word in ("-r", rule))]
    node = TrackerNode(context=context, cli_args=words, parameter_overrides=overrides)
    try:
        yield node
    finally:
        node.close()
        context.try_shutdown()


@pytest.mark.parametrize(("text", "topics"), [("/front", ["/front"]), ("/front,/rear", ["/front", "/rear"])])
def test_cameras_may_be_one_text(squares: Path, text: str, topics: list[str]) -> None:
    with tracker_node(squares, cameras=text) as node:
        assert node.get_parameter("cameras").value == topics
        assert node.autostart()
        assert [subscription.topic_name for subscription in node._inputs.images] == topics


def test_a_text_that_is_no_list_of_cameras_is_rejected(squares: Path) -> None:
    refused = pytest.raises(ParameterError, match=r"cameras: expected image topics such as .*; got /front,")
    with refused, tracker_node(squares, cameras="/front,"):
        pass


@pytest.mark.parametrize("suffix", ["", "/compressed"])
def test_remapping_a_camera_moves_its_compressed_topic_too(squares: Path, suffix: str) -> None:
    with tracker_node(squares, "~/image:=/front/image", compressed=bool(suffix)) as node:
        assert node.autostart()
        assert [camera.topic for camera in node.activity().cameras] == ["/front/image"]
        assert [subscription.topic_name for subscription in node._inputs.images] == [f"/front/image{suffix}"]


def test_a_namespace_and_a_name_move_every_topic(squares: Path) -> None:
    with tracker_node(squares, "__ns:=/car", "__node:=eyes", cameras=["~/image", "rear"]) as node:
        assert node.autostart()
        assert [subscription.topic_name for subscription in node._inputs.images] == [
            "/car/eyes/image",
            "/car/rear",
        ]
        topics = {name for name, _ in node.get_topic_names_and_types()}
        requested = {f"/car/eyes/camera{k}/{name}" for k in (0, 1) for name in ("tracks", "status")}
        assert requested <= topics


def test_an_invalid_topic_is_reported_before_the_model_is_loaded(squares: Path) -> None:
    with tracker_node(squares, cameras=["a b"]) as node:
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert node.tracker is None
        with pytest.raises(ParameterError, match="cameras: failed to resolve name: topic name must not"):
            node._resolved(("a b",))


def test_a_model_that_appears_later_sets_its_thresholds_except_for_those_of_the_user(
    squares: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "late"
    with tracker_node(folder, tracker__lost_frames=7) as node:
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        shutil.copytree(squares, folder)
        own = ModelFiles(folder).config.tracker
        changed = Parameter("tracker.momentum", value=0.25)
        assert node.set_parameters([changed])[0].successful
        for _ in range(2):
            assert node.autostart()
            requested = replace(own, lost_frames=7, momentum=0.25)
            assert node.tracker.config == node.parameters.thresholds == requested != TrackerConfig()
            assert node.get_parameter("tracker.init_score").value == own.init_score
            assert node.trigger_deactivate() == node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS


def test_a_parameter_with_a_former_name_is_read_with_one_warning(
    squares: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    old = {"bank_time": "tracker.lost_frames", "masks": "mask_encoding"}
    monkeypatch.setattr(node_parameters, "RENAMED", old)
    with tracker_node(squares, bank_time=7, masks="mono8", mask_encoding="none") as node:
        assert node.get_parameter("tracker.lost_frames").value == 7 == node.parameters.thresholds.lost_frames
        assert node.parameters.settings.mask_encoding == "none", "today's name wins"
    said = capfd.readouterr().err
    assert said.count("bank_time: renamed to tracker.lost_frames; its value was used") == 1


def test_quality_of_service_can_be_overridden_and_survives_a_cleanup(squares: Path) -> None:
    tracks, image = "/pcan_tracker/tracks", "/pcan_tracker/image"
    overrides = {
        f"qos_overrides.{tracks}.publisher.reliability": "best_effort",
        f"qos_overrides.{image}.subscription.reliability": "reliable",
    }
    with tracker_node(squares, **overrides) as node:
        for _ in range(2):
            assert node.autostart()
            (publisher,) = node.get_publishers_info_by_topic(tracks)
            (subscription,) = node.get_subscriptions_info_by_topic(image)
            assert publisher.qos_profile.reliability == QoSReliabilityPolicy.BEST_EFFORT
            assert subscription.qos_profile.reliability == QoSReliabilityPolicy.RELIABLE
            assert node.trigger_deactivate() == node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS


def test_shutdown_ends_an_active_node_and_later_transitions_are_rejected(squares: Path) -> None:
    with tracker_node(squares) as node:
        assert node.autostart()
        assert node.trigger_shutdown() == TransitionCallbackReturn.SUCCESS
        assert node.pipeline is None and node.tracker is None
        request, response = SimpleNamespace(transition=SimpleNamespace(id=1, label="")), SimpleNamespace()
        assert node._service_change_state.callback(request, response).success is False


def test_an_invalid_transition_is_rejected_where_rclpy_raises() -> None:
    def change(request: Any, response: Any) -> Any:
        raise RuntimeError("No transition matching 1 found for current state active")

    said: list[str] = []
    service, logger = SimpleNamespace(callback=change), SimpleNamespace(error=said.append)
    reject_invalid(SimpleNamespace(_service_change_state=service, get_logger=lambda: logger))
    assert service.callback(None, SimpleNamespace(success=True)).success is False
    assert said == ["transition rejected: No transition matching 1 found for current state active"]
