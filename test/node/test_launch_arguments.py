"""Launch arguments become parameters, or a one-line error with the expected value."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcan_model.core.tracker_config import TrackerConfig
from pcan_ros.launch_arguments import DESCRIPTIONS, parameter_file, parameters_from
from pcan_ros.node.parameters import ParameterError, parameters
from pcan_ros.node.topic_list import topics_of

ROOT = Path(__file__).resolve().parents[2]


def test_arguments_get_their_types_and_empty_ones_keep_the_parameter_file() -> None:
    given = {"cameras": "['/a', '/b']", "threads": "2", "use_sim_time": "true", "model": "/models/mine"}
    assert parameters_from(dict.fromkeys(DESCRIPTIONS, "") | given) == {
        "model": "/models/mine",
        "cameras": ["/a", "/b"],
        "threads": 2,
        "use_sim_time": True,
    }


def test_every_argument_is_a_parameter() -> None:
    assert set(DESCRIPTIONS) - {"use_sim_time"} <= set(parameters(TrackerConfig()))


@pytest.mark.parametrize("text", ["/a,/b", "/a, /b", "[/a, /b]", "['/a', '/b']", '["/a","/b"]', " /a,/b "])
def test_several_cameras_can_be_written_in_several_ways(text: str) -> None:
    assert topics_of(text) == ["/a", "/b"]


@pytest.mark.parametrize("text", ["/camera/image_raw", "[/camera/image_raw]", "['/camera/image_raw']"])
def test_one_camera_needs_no_brackets(text: str) -> None:
    assert topics_of(text) == ["/camera/image_raw"]


@pytest.mark.parametrize(
    "text", ["[", "[]", "['/a'", "/a]", "/a,", ",", "[/a, 3]", "[[/a]]", "['']", "/a /b", ""]
)
def test_an_invalid_list_of_cameras_is_a_one_line_error(text: str) -> None:
    with pytest.raises(ParameterError, match=r"cameras: expected image topics such as .*; got ") as error:
        topics_of(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("threads", "abc", "threads: expected a whole number, got abc"),
        ("threads", "-1", "threads: expected .* got -1"),
        ("threads", "[", r"threads: expected a whole number, got \["),
        ("compressed", "1", "compressed: expected true or false, got 1"),
        ("use_sim_time", "perhaps", "use_sim_time: expected true or false, got perhaps"),
        ("backend", "abacus", "backend: expected one of auto, .* got 'abacus'"),
    ],
)
def test_invalid_values_are_rejected_before_the_node_starts(name: str, text: str, line: str) -> None:
    with pytest.raises(ParameterError, match=line):
        parameters_from({name: text})


def test_a_missing_parameter_file_is_rejected() -> None:
    file = str(ROOT / "config" / "tracker.yaml")
    assert parameter_file(file) == file
    with pytest.raises(ParameterError, match=r"parameters: expected a file, got /nowhere\.yaml"):
        parameter_file("/nowhere.yaml")
    with pytest.raises(ParameterError, match="parameters: expected a file, got nothing"):
        parameter_file("")


def test_a_float_may_be_written_as_an_integer() -> None:
    assert parameters_from({"sync_slop": "1"}) == {"sync_slop": 1.0}
    with pytest.raises(ParameterError, match="sync_slop: expected a number, got wide"):
        parameters_from({"sync_slop": "wide"})
