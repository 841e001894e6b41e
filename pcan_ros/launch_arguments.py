"""Parses the text of launch arguments; independent of the launch package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.core.yaml_text import YamlTextError, parse_yaml
from pcan_ros.node.parameters import ParameterError, parameters
from pcan_ros.node.topic_list import topics_of

KNOWN = parameters(TrackerConfig())
NAMES = (
    "model",
    "cameras",
    "backend",
    "engine_cache",
    "threads",
    "compressed",
    "reliability",
    "sync",
    "sync_slop",
    "camera_info",
    "odometry_frame",
    "odometry_topic",
    "odometry_depth",
    "classes",
    "autostart",
)
DESCRIPTIONS = {name: KNOWN[name].description for name in NAMES} | {
    "cameras": f"{KNOWN['cameras'].description}; /camera/image_raw, or several separated by commas",
    "use_sim_time": "use the time on /clock, as published by `ros2 bag play --clock`",
}

KINDS = {bool: "true or false", int: "a whole number", float: "a number"}  # of arguments that are not text


def parameters_from(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the node's parameters by name; an empty argument leaves the parameter file's value.

    Raises ParameterError for a value that the node would reject.
    """
    return {name: _value(name, text.strip()) for name, text in texts.items() if text.strip()}


def parameter_file(text: str) -> str:
    """Return the path of a parameter file; raises ParameterError if it does not exist."""
    if not Path(text).expanduser().is_file():
        raise ParameterError(f"parameters: expected a file, got {text or 'nothing'}")
    return str(Path(text).expanduser())


def _value(name: str, text: str) -> Any:
    if name == "cameras":
        return topics_of(text)
    default = KNOWN[name].default if name in KNOWN else False  # use_sim_time is ROS's own
    value = text if isinstance(default, str) else _literal(text)
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(default):
        raise ParameterError(f"{name}: expected {KINDS[type(default)]}, got {text}")
    if name in KNOWN:
        KNOWN[name].check(value)
    return value


def _literal(text: str) -> Any:
    try:
        return parse_yaml(text)
    except YamlTextError:
        return text
