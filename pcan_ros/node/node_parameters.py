"""Declares the node's parameters and applies changes at runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from pcan_model.core.config import Config
from pcan_model.core.package_files import default_model
from pcan_model.core.plain_values import renamed
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.inference.errors import ModelError
from pcan_model.inference.manifest import ModelFiles
from pcan_ros.node.parameter_file import write_parameters
from pcan_ros.node.parameters import (
    RENAMED,
    ROS,
    ParameterError,
    Settings,
    check_budget,
    parameters,
    reject_unknown,
    settings_from,
    thresholds_from,
)
from pcan_ros.node.parameters import Parameter as Declared
from pcan_ros.node.selection import admissions
from pcan_ros.node.topic_list import topics_of


class NodeParameters:
    """The current settings and thresholds of the node."""

    def __init__(self, node: Node, on_change: Callable[[], None]) -> None:
        overrides = node._parameter_overrides  # rclpy has no public access to undeclared overrides
        _rename(node, overrides)
        _list_cameras(overrides)
        model = overrides["model"].value if "model" in overrides else ""
        folder = Path(model or default_model()).expanduser()
        config = _config(folder)
        self._model, self._classes = config or Config(), config.classes if config else ()
        self._known = parameters(self._model.tracker)
        reject_unknown(list(overrides), self._known)
        self._overrides = dict(overrides)
        self._given = set(overrides)  # set by the user: kept when the model changes
        self._node = node
        self._values = {name: declare(node, parameter) for name, parameter in self._known.items()}
        self._values["model"] = str(folder)
        self._on_change = on_change
        self._build(self._values)
        node.add_on_set_parameters_callback(self._set)

    def adopt(self, model: Config) -> None:
        """Adopt thresholds and classes of the loaded model, except for parameters that the user has set.

        The model may have changed, or may not have been readable, when the node was created.
        """
        self._model, self._classes, self._known = model, model.classes, parameters(model.tracker)
        given = set(self._given)
        new = {name: p.default for name, p in self._known.items() if name not in given and not p.read_only}
        changes = [Parameter(name, value=value) for name, value in new.items() if value != self._values[name]]
        refused = [done.reason for done in self._node.set_parameters(changes) if not done.successful]
        if refused:
            raise ParameterError(f"model: thresholds: {refused[0]}")
        self._given = given
        self._build(self._values)

    def given(self) -> dict[str, Any]:
        """Return what somebody has set, at the start or since, by name; not the clock and such."""
        own = {name: value for name, value in self._values.items() if name in self._given}
        others = self._given - {*self._known, *ROS}  # all qos_overrides
        return own | {name: self._overrides[name].value for name in sorted(others)}

    def save(self) -> Path:
        """Write what somebody has set where `parameters_file` says, as `--params-file` reads it."""
        name = self._node.get_fully_qualified_name().strip("/").replace("/", ".")
        path = Path(self.settings.parameters_file or f"~/.ros/{name}.yaml").expanduser()
        write_parameters(path, self.given())
        return path

    def _build(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            self._known[name].check(value)
        settings = settings_from(values)
        self.admissions = admissions(settings, self._classes) if self._classes else ()
        thresholds = thresholds_from(values, self._model.tracker)
        check_budget(settings, thresholds)
        self.settings: Settings = settings
        self.thresholds: TrackerConfig = thresholds
        self._values = values

    def _set(self, changes: list[Any]) -> SetParametersResult:
        """Apply changes at runtime, all or none; rclpy has rejected unknown and read-only parameters."""
        new = {change.name: change.value for change in changes if change.name in self._known}
        try:
            self._build({**self._values, **new})
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if new:
            self._given |= set(new)
            self._on_change()
        return SetParametersResult(successful=True)


def _config(folder: Path) -> Config | None:
    """Return the model's configuration; None if it cannot be read, which on_configure reports."""
    try:
        return ModelFiles(folder).config
    except ModelError:
        return None


def _rename(node: Node, overrides: dict[str, Any]) -> None:
    """Rename overrides with former parameter names, with one warning each."""
    given, old = renamed(dict(overrides), RENAMED)
    for name, new in old.items():
        node.get_logger().warning(f"{name}: renamed to {new}; its value was used")
        given[new] = Parameter(new, value=given[new].value)
        del overrides[name]
    overrides.update(given)


def _list_cameras(overrides: dict[str, Any]) -> None:
    """Convert cameras given as text, as in `-p cameras:=/front,/rear`, to a list."""
    if "cameras" in overrides and isinstance(overrides["cameras"].value, str):
        overrides["cameras"] = Parameter("cameras", value=topics_of(overrides["cameras"].value))


def declare(node: Node, parameter: Declared) -> Any:
    """Declare a parameter with its description and range; returns its value."""
    return node.declare_parameter(parameter.name, parameter.default, _descriptor(parameter)).value


def _descriptor(parameter: Declared) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=parameter.description, read_only=parameter.read_only)
    choices, low, high = parameter.field.choices, parameter.field.low, parameter.field.high
    if choices:
        descriptor.additional_constraints = f"one of {', '.join(choices)}"
    if low is None or high is None:
        return descriptor
    if parameter.field.kind is float:
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    else:
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    return descriptor
