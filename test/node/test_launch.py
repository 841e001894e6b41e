"""The launch files, with ROS 2's launch if it is installed, otherwise with stand-ins."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

from pcan_model.cli.evaluate import read
from pcan_model.core.tracker_config import TrackerConfig
from pcan_ros import show
from pcan_ros.environment import TUNED
from pcan_ros.node.parameters import parameters
from pcan_ros.show import ShownBag

ROOT = Path(__file__).resolve().parents[2]
PLAY = ["ros2", "bag", "play"]
INSTALLED = importlib.util.find_spec("launch_ros") is not None


def test_the_parameter_file_holds_every_setting_with_its_default() -> None:
    values = yaml.safe_load((ROOT / "config" / "tracker.yaml").read_text())["/**"]["ros__parameters"]
    known = parameters(TrackerConfig())
    assert values == {name: p.default for name, p in known.items() if not name.startswith("tracker.")}


def test_the_plugins_that_import_every_neighbour_of_a_test_are_off(pytestconfig: pytest.Config) -> None:
    plugins = pytestconfig.pluginmanager
    assert plugins.is_blocked("launch_testing") and plugins.is_blocked("launch_ros")


STAND_INS = {
    "launch": ("LaunchContext", "LaunchDescription"),
    "launch.actions": (
        "DeclareLaunchArgument",
        "ExecuteProcess",
        "IncludeLaunchDescription",
        "LogInfo",
        "OpaqueFunction",
        "PopLaunchConfigurations",
        "PushLaunchConfigurations",
        "RegisterEventHandler",
        "Shutdown",
    ),
    "launch.events": (),
    "launch.events.process": ("ProcessExited",),
    "launch.launch_description_sources": ("PythonLaunchDescriptionSource",),
    "launch.substitutions": ("LaunchConfiguration", "PathJoinSubstitution"),
    "launch_ros": (),
    "launch_ros.actions": ("LifecycleNode", "Node"),
    "launch_ros.event_handlers": ("OnStateTransition",),
    "launch_ros.substitutions": ("FindPackageShare",),
}


class Stub:
    """Stands in for a class of launch: keeps what it was made with."""

    def __init__(self, *values: Any, **named: Any) -> None:
        self.values, self.named = values, named

    def perform(self, context: Any) -> str:
        """Look up a launch configuration."""
        return str(context.launch_configurations.get(self.values[0], ""))


@pytest.fixture
def launch_file(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Return what loads a launch file by its name, on stand-ins where launch is not installed."""
    if not INSTALLED:
        for module, names in STAND_INS.items():
            stand_in = ModuleType(module)
            for name in names:
                setattr(stand_in, name, type(name, (Stub,), {}))
            monkeypatch.setitem(sys.modules, module, stand_in)
    return load


def load(name: str) -> Any:
    """Import a launch file."""
    spec = importlib.util.spec_from_file_location(f"{name}_launch", ROOT / "launch" / f"{name}.launch.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def context_of(values: dict[str, str], environment: dict[str, str] | None = None) -> Any:
    """Return a launch context with these arguments, launch's own where it is installed."""
    if not INSTALLED:
        return SimpleNamespace(launch_configurations=values, environment=environment or {})
    from launch import LaunchContext

    context = LaunchContext()
    context.launch_configurations.update(values)
    return context


@pytest.mark.skipif(INSTALLED, reason="launch is installed: test_launched_node.py starts the node itself")
def test_the_node_gets_its_parameters_and_an_environment_of_its_own(
    launch_file: Callable[[str], Any],
) -> None:
    tracker = launch_file("tracker")
    file = str(ROOT / "config" / "tracker.yaml")
    values = {"cameras": "/a,/b", "threads": "2", "parameters": file, "fastdds_profile": "none"}
    (node,) = tracker._node(context_of(values))
    assert node.named["parameters"] == [file, {"cameras": ["/a", "/b"], "threads": 2}]
    assert node.named["additional_env"] == TUNED

    prefixed = {"name": "of_another_file", "pcan_name": "tracker", "pcan_cameras": "/c", "pcan_threads": ""}
    (node,) = tracker._node(context_of(values | prefixed))
    assert node.named["name"] == "tracker" and node.named["parameters"] == [file, {"cameras": ["/c"]}]


@pytest.mark.skipif(INSTALLED, reason="launch is installed: its Node keeps no arguments to look at")
def test_the_lifter_gets_the_topics_that_are_given(launch_file: Callable[[str], Any]) -> None:
    file = str(ROOT / "config" / "lifter.yaml")
    values = {"points": "/velodyne_points", "parameters": file, "use_sim_time": "true"}
    (node,) = launch_file("lifter")._node(context_of(values))
    assert node.named["parameters"] == [file, {"points": "/velodyne_points", "use_sim_time": True}]


def test_the_launch_files_return_descriptions(launch_file: Callable[[str], Any]) -> None:
    for name in ("tracker", "lifter", "evaluate", "show"):
        description = launch_file(name).generate_launch_description()
        assert description.values[0] if isinstance(description, Stub) else description.entities


@pytest.mark.skipif(INSTALLED, reason="launch is installed: test_launched_show.py starts it itself")
def test_show_plays_the_bag_when_the_tracker_is_active_and_skips_missing_packages(
    launch_file: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = ShownBag(Path("drive"), "/front/image", compressed=False, has_clock=True)
    there = {"ros2bag", "foxglove_bridge"}
    monkeypatch.setattr(show, "read_bag", lambda *_: bag)
    monkeypatch.setattr(show, "installed", there.__contains__)
    values = {"bag": "drive", "topic": "", "rate": "1.0", "loop": "false", "view": "foxglove", "model": "m"}
    played, bridge, said, tracker = launch_file("show")._parts(context_of(values))
    transition = played.values[0].named
    assert transition["goal_state"] == "active" and transition["entities"][0].named["cmd"][:3] == PLAY
    assert bridge.named["package"] == "foxglove_bridge" and "foxglove_layout.json" in said.named["msg"]
    arguments = dict(tracker.named["launch_arguments"])
    assert (arguments["cameras"], arguments["use_sim_time"], arguments["model"]) == (show.CAMERA, "true", "m")

    there.clear()
    lines = launch_file("show")._parts(context_of(values))[:2]
    assert [line.named["msg"].split(":")[1] for line in lines] == [
        " play is skipped",
        " foxglove is skipped",
    ]


@pytest.fixture
def evaluation(launch_file: Callable[[str], Any]) -> Any:
    return launch_file("evaluate")


def test_the_launched_evaluation_has_valid_arguments(evaluation: Any) -> None:
    values = {"model": "m", "engine": "onnx", "root": "/data", "videos": "", "dataset": ""}
    values |= {"split": "", "rate": "", "out": ""}
    command = ["m", "--engine", "onnx", "--via", "node", "--data", "/data"]
    assert evaluation.arguments(context_of(values)) == command

    values |= {"dataset": "kitti_mots", "split": "val", "rate": "0.5", "out": "r.json", "videos": "0002 0006"}
    setup, options = read(evaluation.arguments(context_of(values)))
    assert (options.data, options.format, options.split) == (Path("/data"), "kitti_mots", "val")
    assert (options.videos, options.out) == (("0002", "0006"), Path("r.json"))
    assert (setup.via, setup.rate, setup.engine, setup.model) == ("node", 0.5, "onnx", "m")


@pytest.mark.skipif(INSTALLED, reason="launch is installed: test_launched_evaluation.py starts it itself")
def test_the_launch_file_of_the_evaluation_declares_what_it_uses(evaluation: Any) -> None:
    description = evaluation.generate_launch_description()
    declared = {entity.values[0] for entity in description.values[0] if entity.values}
    assert declared == {"root", "model", "engine", "videos", *evaluation.OPTIONS}
    (process,) = evaluation._evaluation(context_of({"root": "/data"}))
    assert process.named["cmd"][:4] == [sys.executable, "-m", "pcan_ros.start", "pcan-evaluate"]
    assert evaluation._end(SimpleNamespace(returncode=0), SimpleNamespace(is_shutdown=False))
    with pytest.raises(RuntimeError, match="pcan-evaluate failed with exit code 2"):
        evaluation._end(SimpleNamespace(returncode=2), SimpleNamespace(is_shutdown=False))
