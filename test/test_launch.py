"""The parameter file and the launch file name what the node knows."""

from __future__ import annotations

import importlib.util
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from pcan_model.config import TrackerConfig
from pcan_ros.node.parameters import Settings, parameters

ROOT = Path(__file__).resolve().parent.parent


def test_the_parameter_file_holds_every_setting_with_its_default() -> None:
    values = yaml.safe_load((ROOT / "config" / "tracker.yaml").read_text())["/**"]["ros__parameters"]
    known = parameters(TrackerConfig())
    assert values == {f.name: known[f.name].default for f in fields(Settings)}


def test_the_launch_file_starts_the_node_with_its_defaults() -> None:
    pytest.importorskip("launch_ros", reason="launch is not on PyPI: this runs where ROS 2 is installed")
    import launch

    spec = importlib.util.spec_from_file_location("tracker_launch", ROOT / "launch" / "tracker.launch.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    known = parameters(TrackerConfig())
    assert set(module.PARAMETERS) - {"use_sim_time"} <= set(known)

    context = launch.LaunchContext()
    context.launch_configurations |= dict.fromkeys(module.PARAMETERS, "") | {
        "cameras": "['/a', '/b']", "name": "tracker", "namespace": "", "log_level": "info", "parameters": "",
    }  # fmt: skip
    (node,) = module._node(context)
    assert type(node).__name__ == "LifecycleNode"
    assert module.generate_launch_description().entities
