"""Parameters as YAML, as ROS takes them in `--params-file` and `-p`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from pcan_model.core.atomic_write import write_bytes
from pcan_ros.node.parameters import ParameterError


def write_parameters(path: Path, values: Mapping[str, Any]) -> None:
    """Write values by their names, for a node of any name; the file is there whole or not at all."""
    write_bytes(path, parameter_text(values).encode(), durable=True)


def parameter_text(values: Mapping[str, Any]) -> str:
    """Return the YAML of values by their names; texts are quoted, so none is taken for a number."""
    lines = [f"    {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    return "\n".join(["/**:", "  ros__parameters:" if lines else "  ros__parameters: {}", *lines]) + "\n"


def check_assignments(words: Sequence[str]) -> None:
    """Raise ParameterError for a value on the command line that is not YAML, such as `-p cameras:=[`.

    rclpy raises, too, but rcl has logged errors of its own by then.
    """
    for option, assignment in pairwise(words):
        name, given, value = assignment.partition(":=")
        if option in ("-p", "--param") and given:
            try:
                yaml.compose(value, yaml.SafeLoader)
            except yaml.YAMLError as error:
                raise ParameterError(f"{name}: expected a value in YAML, got {value}") from error
