"""Parameters as YAML for ROS's `--params-file`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pcan_model.core.atomic_write import write_bytes


def write_parameters(path: Path, values: Mapping[str, Any]) -> None:
    """Write values by their names, for a node of any name; the file is there whole or not at all."""
    write_bytes(path, parameter_text(values).encode(), durable=True)


def parameter_text(values: Mapping[str, Any]) -> str:
    """Return the YAML of values by their names; texts are quoted, so none is taken for a number."""
    lines = [f"    {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    return "\n".join(["/**:", "  ros__parameters:" if lines else "  ros__parameters: {}", *lines]) + "\n"
