"""`~/save_parameters` writes what has been set as ROS reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy
from rcl_interfaces.msg import ParameterType, ParameterValue
from rclpy.node import Node
from std_srvs.srv import Trigger
from support.robot import robot
from support.squares import export_squares

from pcan_ros.node.parameter_file import check_assignments, parameter_text, write_parameters
from pcan_ros.node.parameters import ParameterError

VALUES: dict[str, Any] = {
    "flag": False,
    "count": 12,
    "share": 0.25,
    "whole": 10.0,
    "tiny": 1e-05,
    "huge": 1e22,
    "tracker.init_score": 0.6,
    "texts": ["/front/image", "~/image"],
    "empty": "",
    **{
        f"text{n}": text for n, text in enumerate(["on", "1e5", "1:30", "null", "a: 'b' \"c\"", "ü\n#", "\\"])
    },
}


def read_by_ros(path: Path) -> dict[str, Any]:
    """Return the parameters that a node is given by `--params-file`."""
    context = rclpy.Context()
    rclpy.init(args=["--ros-args", "--params-file", str(path)], context=context)
    try:
        node = Node("anything", context=context, start_parameter_services=False, enable_rosout=False)
        return {name: each.value for name, each in node._parameter_overrides.items()}
    finally:
        context.try_shutdown()


def test_ros_reads_every_value_as_it_was(tmp_path: Path) -> None:
    write_parameters(tmp_path / "new" / "saved.yaml", VALUES)
    read = read_by_ros(tmp_path / "new" / "saved.yaml")
    assert read == VALUES
    assert {name: type(value) for name, value in read.items()} == {n: type(v) for n, v in VALUES.items()}


def test_ros_reads_a_file_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "none.yaml").write_text(parameter_text({}))
    assert read_by_ros(tmp_path / "none.yaml") == {}


def test_over_dds_what_was_set_is_saved_and_a_failure_is_said(tmp_path: Path) -> None:
    model, file = export_squares(tmp_path / "squares"), tmp_path / "saved.yaml"
    with robot(model, connect=False, classes="car", parameters_file=str(file), use_sim_time=True) as r:
        text = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=str(tmp_path))
        score = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=0.65)
        assert r.set_parameter("tracker.init_score", score).successful
        answer = r.call(Trigger, "save_parameters", Trigger.Request())
        assert answer.success and answer.message == f"written: {file}"
        saved = read_by_ros(file)
        assert saved.pop("model") == str(model)
        assert saved == {
            "classes": "car",
            "parameters_file": str(file),
            "reliability": "reliable",
            "threads": 1,
            "tracker.init_score": 0.65,
        }
        assert r.set_parameter("parameters_file", text).successful
        refused = r.call(Trigger, "save_parameters", Trigger.Request())
        assert not refused.success and refused.message.startswith("parameters_file: not written: ")
    assert {path.name for path in tmp_path.iterdir()} == {"saved.yaml", "squares"}


def test_a_value_on_the_command_line_that_is_no_yaml_is_named_before_ros_reads_it() -> None:
    fine = ["node", "--ros-args", "-p", "cameras:=[/a, '/b']", "--param", "when:=2026-13-45", "-r", "a:=["]
    check_assignments(fine)
    for value in ("[", "{a", "'x", "@"):
        with pytest.raises(ParameterError, match=r"^cameras: expected a value in YAML, got "):
            check_assignments([*fine, "-p", f"cameras:={value}"])
