"""The parameter file and the launch file name what the node knows."""

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
from pcan_model.core.config import TrackerConfig
from pcan_ros.client.process import node_environment
from pcan_ros.node.parameters import parameters

ROOT = Path(__file__).resolve().parents[2]


def test_the_parameter_file_holds_every_setting_with_its_default() -> None:
    values = yaml.safe_load((ROOT / "config" / "tracker.yaml").read_text())["/**"]["ros__parameters"]
    known = parameters(TrackerConfig())
    assert values == {name: p.default for name, p in known.items() if not name.startswith("tracker.")}


def test_the_launch_file_starts_the_node_with_its_defaults() -> None:
    pytest.importorskip("launch_ros", reason="launch is not on PyPI: this runs where ROS 2 is installed")
    import launch

    module = load("tracker")
    known = parameters(TrackerConfig())
    assert set(module.PARAMETERS) - {"use_sim_time"} <= set(known)

    context = launch.LaunchContext()
    context.launch_configurations |= dict.fromkeys(module.PARAMETERS, "") | {
        "cameras": "['/a', '/b']", "name": "tracker", "namespace": "", "log_level": "info", "parameters": "",
    }  # fmt: skip
    (node,) = module._node(context)
    assert type(node).__name__ == "LifecycleNode"
    assert module.generate_launch_description().entities


STAND_INS = (
    "LaunchContext",
    "LaunchDescription",
    "DeclareLaunchArgument",
    "ExecuteProcess",
    "OpaqueFunction",
    "Shutdown",
    "LaunchConfiguration",
    "PathJoinSubstitution",
    "PythonExpression",
    "FindPackageShare",
    "IfCondition",
    "LifecycleNode",
    "SetEnvironmentVariable",
)


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
    if importlib.util.find_spec("launch_ros") is None:
        parts = {
            "launch": ("actions", "conditions", "substitutions"),
            "launch_ros": ("actions", "substitutions"),
        }
        for module in (*parts, *(f"{name}.{part}" for name in parts for part in parts[name])):
            stand_in = ModuleType(module)
            for name in STAND_INS:
                setattr(stand_in, name, type(name, (Stub,), {}))
            monkeypatch.setitem(sys.modules, module, stand_in)
    return load


@pytest.fixture
def evaluation(launch_file: Callable[[str], Any]) -> Any:
    return launch_file("evaluate")


def load(name: str) -> Any:
    """Import a launch file."""
    spec = importlib.util.spec_from_file_location(f"{name}_launch", ROOT / "launch" / f"{name}.launch.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_launch_arguments_become_parameters_of_their_type_and_empty_ones_do_not(
    launch_file: Callable[[str], Any],
) -> None:
    tracker = launch_file("tracker")
    given = {"cameras": "['/a', '/b']", "threads": "2", "use_sim_time": "true", "model": "/models/mine"}
    context = SimpleNamespace(launch_configurations=dict.fromkeys(tracker.PARAMETERS, "") | given)
    if not issubclass(tracker.LaunchConfiguration, Stub):
        pytest.skip("launch is installed: the test above makes the node itself")
    (node,) = tracker._node(context)
    values = node.named["parameters"][1]
    assert values == {"cameras": ["/a", "/b"], "threads": 2, "use_sim_time": True, "model": "/models/mine"}
    parsed = {name: parameters(TrackerConfig())[name].default for name in tracker.LITERALS[:-1]}
    assert all(not isinstance(default, str) for default in parsed.values())


@pytest.mark.parametrize(
    ("distribution", "read"), [("humble", "FASTRTPS"), ("jazzy", "FASTRTPS"), ("", "FASTDDS")]
)
def test_the_profile_is_named_as_the_distribution_reads_it(
    launch_file: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, distribution: str, read: str
) -> None:
    monkeypatch.setenv("ROS_DISTRO", distribution)
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE", raising=False)
    monkeypatch.delenv("FASTDDS_DEFAULT_PROFILES_FILE", raising=False)
    assert f"{read}_DEFAULT_PROFILES_FILE" == launch_file("tracker").PROFILE_VARIABLE
    assert [name for name in node_environment() if "PROFILES_FILE" in name] == [
        f"{read}_DEFAULT_PROFILES_FILE"
    ]


def test_the_evaluation_that_is_launched_is_one_that_the_command_understands(evaluation: Any) -> None:
    values = {"model": "m", "engine": "onnx", "root": "/data", "dataset": "", "rate": ""}
    context = SimpleNamespace(launch_configurations=values)
    assert evaluation.arguments(context) == ["m", "--engine", "onnx", "--via", "node", "--data", "/data"]

    values |= {"dataset": "kitti_mots", "split": "val", "rate": "0.5", "out": "r.json", "videos": "0002 0006"}
    setup, options = read(evaluation.arguments(context))
    assert (options.data, options.format, options.split) == (Path("/data"), "kitti_mots", "val")
    assert (options.videos, options.out) == (("0002", "0006"), Path("r.json"))
    assert (setup.via, setup.rate, setup.engine, setup.model) == ("node", 0.5, "onnx", "m")


def test_the_launch_file_of_the_evaluation_declares_what_it_uses(evaluation: Any) -> None:
    description = evaluation.generate_launch_description()
    if not isinstance(description, Stub):
        assert description.entities
        return
    declared = {entity.values[0] for entity in description.values[0] if entity.values}
    assert declared == {"root", "model", "engine", "videos", *evaluation.OPTIONS}
    (process,) = evaluation._evaluation(SimpleNamespace(launch_configurations={"root": "/data"}))
    assert process.named["cmd"][:3] == [sys.executable, "-m", "pcan_ros.evaluate"]
