"""The node's parameters: dataclass fields as ROS parameters with descriptions and ranges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

from pcan_model.core.errors import UserError
from pcan_model.core.fields import Setting, setting, settings_of
from pcan_model.core.masks import Encoding
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.inference.backends import EngineOptions
from pcan_model.inference.input_size import AUTO
from pcan_ros.node.camera import TimeLimits

TRACKER = "tracker."  # prefix of TrackerConfig's fields, those that may change at runtime
RENAMED = {"tracker.keep_lost": "tracker.lost_frames"}  # former parameter name to present one
ROS = ("use_sim_time", "start_type_description_service")  # rclpy's own, and all qos_overrides
ENCODINGS = {
    "rle": Encoding.RLE_COCO,
    "bitmap": Encoding.BITMAP,
    "mono8": Encoding.MONO8,
    "none": Encoding.NONE,
}


class ParameterError(UserError, ValueError):
    """An unknown parameter or an invalid value; the message gives the name and the expectation."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Parameters of the node, other than those of the tracker."""

    model: str = setting("", "folder of the exported model; empty for the installed models/pcan_street")
    cameras: tuple[str, ...] = setting(
        ("~/image",),
        "image topics, one camera each; outputs are ~/tracks for one, ~/camera0/tracks for several",
    )
    compressed: bool = setting(False, "subscribe to sensor_msgs/CompressedImage on <topic>/compressed")
    reliability: Literal["best_effort", "reliable"] = setting(
        "best_effort", "QoS of the image subscriptions; reliable for bags played in lock-step"
    )
    sync: Literal["none", "exact", "approximate"] = setting(
        "none",
        "grouping of several cameras: none tracks the newest image of each, exact and approximate track "
        "images with matching stamps together",
    )
    sync_slop: float = setting(
        0.02,
        "largest difference of matching stamps, for sync approximate",
        unit="seconds",
        low=0.0,
        high=10.0,
    )
    camera_info: Literal["none", "check", "rectify"] = setting(
        "none",
        "use of a camera's calibration: check compares it with the images and republishes it; rectify also "
        "rectifies the images",
    )
    odometry_frame: str = setting(
        "",
        "frame with z up in which the camera moves, such as odom: association then knows its motion from "
        "transforms; needs camera_info check or rectify; empty: not used",
    )
    odometry_topic: str = setting(
        "",
        "topic of nav_msgs/Odometry with the pose of the vehicle, in addition to transforms, with "
        "odometry_frame; empty: transforms only",
    )
    odometry_depth: str = setting(
        "",
        "topic of a depth image registered to the images of a single camera, with odometry_frame: objects "
        "move at their measured depth; empty: where they meet the ground",
    )
    engine: EngineOptions = field(default_factory=EngineOptions)
    latency_budget: float = setting(
        0.0,
        "mean processing time for one image of every camera; the network runs on as many images as it "
        "allows, on the others optical flow carries the tracks; 0 for the network on every image",
        unit="seconds",
        low=0.0,
        high=60.0,
        runtime=True,
    )
    mask_encoding: Literal["rle", "bitmap", "mono8", "none"] = setting(
        "rle", "encoding of published masks, see msg/InstanceMask", runtime=True
    )
    publish_lost: bool = setting(
        False, "also publish tracks that are LOST or REMOVED in this frame", runtime=True
    )
    classes: str = setting(
        "", "names of the classes to track, separated by commas; empty for all", runtime=True
    )
    class_scores: str = setting(
        "", "lowest score of a tracked detection by class: car=0.5,pedestrian=0.4", runtime=True
    )
    min_size: float = setting(
        0.0,
        "least length of the longer side of a box that is tracked",
        unit="pixels of the image",
        low=0.0,
        high=10_000.0,
        runtime=True,
    )
    ignore: str = setting(
        "",
        "regions that are not tracked, separated by semicolons: corners as 0,600 1280,600 1280,720, or an "
        "image file that is not black there; the prefix 1: limits a region to camera 1",
        runtime=True,
    )
    jpeg_quality: int = setting(80, "JPEG quality of ~/overlay/compressed", low=1, high=100, runtime=True)
    time_jump_tolerance: float = setting(
        0.5,
        "jump back of the stamps above which the tracks are reset",
        unit="seconds",
        low=0.0,
        high=3600.0,
        runtime=True,
    )
    time_gap_limit: float = setting(
        10.0,
        "gap between two images above which the tracks are reset; 0 for never",
        unit="seconds",
        low=0.0,
        high=86_400.0,
        runtime=True,
    )
    parameters_file: str = setting(
        "", "file that ~/save_parameters writes; empty for ~/.ros/<node>.yaml", runtime=True
    )
    status_period: float = setting(1.0, "period of /diagnostics", unit="seconds", low=0.1, high=3600.0)
    autostart: bool = setting(True, "configure and activate at start, without a lifecycle manager")

    def __post_init__(self) -> None:
        if not self.cameras or not all(self.cameras):
            raise ParameterError(f"cameras: expected at least one topic, got {list(self.cameras)}")
        if len(set(self.cameras)) < len(self.cameras):
            raise ParameterError(f"cameras: expected distinct topics, got {list(self.cameras)}")
        if self.odometry_frame and self.camera_info == "none":
            raise ParameterError("odometry_frame: expected camera_info check or rectify with it, got none")
        if self.odometry_topic and not self.odometry_frame:
            raise ParameterError("odometry_topic: expected an odometry_frame with it, got none")
        if self.odometry_depth and not (self.odometry_frame and len(self.cameras) == 1):
            raise ParameterError("odometry_depth: expected a single camera and an odometry_frame with it")
        if self.sync != "none" and len(self.cameras) < 2:
            raise ParameterError(f"sync: expected none for a single camera, got {self.sync}")

    @property
    def time_limits(self) -> TimeLimits:
        """Return the time jumps above which tracks are reset."""
        return TimeLimits(self.time_jump_tolerance, self.time_gap_limit)

    @property
    def encoding(self) -> Encoding:
        """Return the encoding of published masks."""
        return ENCODINGS[self.mask_encoding]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as the node declares it."""

    name: str
    default: Any  # bool, int, float, str or list of str
    field: Setting  # description, unit, range and choices

    @property
    def description(self) -> str:
        """Return the description, with its unit."""
        return self.field.text

    @property
    def read_only(self) -> bool:
        """Return whether it can only be set at start."""
        return not self.field.runtime

    def check(self, value: Any) -> None:
        """Raise ParameterError unless the value is one of the choices and within the range."""
        if value is None:  # ROS's value for an empty list in a file
            raise ParameterError(f"{self.name}: expected a value such as {self.default!r}, got none")
        fault = self.field.fault(value)
        if fault:
            raise ParameterError(f"{self.name}: {fault}")


def parameters(tracker: TrackerConfig) -> dict[str, Parameter]:
    """Return every parameter of the node by name; defaults of the thresholds are the model's."""
    thresholds = (p for p in described(tracker, TRACKER) if not p.read_only)
    return {p.name: p for p in (*described(Settings()), *thresholds)}


def settings_from(values: dict[str, Any]) -> Settings:
    """Build the settings from parameter values by name."""
    own = {name: values[name] for name in settings_of(Settings) if name in values}
    engine = {name: values[name] for name in settings_of(EngineOptions) if name in values}
    cameras = tuple(own.get("cameras", Settings().cameras))
    return Settings(**{**own, "cameras": cameras, "engine": EngineOptions(**engine)})


def thresholds_from(values: dict[str, Any], base: TrackerConfig) -> TrackerConfig:
    """Return `base`, the model's thresholds, updated with the `tracker.*` values.

    Raises ParameterError if the model requires an association that the node does not support.
    """
    if base.association != "quasi_dense":
        raise ParameterError(f"model: association: expected quasi_dense, got {base.association}")
    own = {name.removeprefix(TRACKER): value for name, value in values.items() if name.startswith(TRACKER)}
    return replace(base, **own)


def check_budget(settings: Settings, thresholds: TrackerConfig) -> None:
    """Raise ParameterError for a budget with a model whose tracker keeps no view to carry tracks by.

    Likewise for a size that a budget chooses, without a budget.
    """
    if settings.engine.size == AUTO and not settings.latency_budget:
        raise ParameterError(f"size: {AUTO}: expected a latency_budget > 0 to choose by, got 0")
    if settings.latency_budget and not thresholds.camera_motion:
        raise ParameterError(
            "latency_budget: expected 0 with this model, whose tracker.camera_motion is false, got "
            f"{settings.latency_budget:g}"
        )


def reject_unknown(names: list[str], known: dict[str, Parameter]) -> None:
    """Raise ParameterError for the first unknown parameter."""
    for name in names:
        if name not in (*known, *ROS) and not name.startswith("qos_overrides."):
            raise ParameterError(f"{name}: unknown parameter; expected one of {', '.join(known)}")


def described(record: Any, prefix: str = "") -> Iterator[Parameter]:
    """Yield the parameters of a dataclass and of its nested dataclasses, in the order of the fields."""
    known = settings_of(type(record))
    for each in fields(record):
        value = getattr(record, each.name)
        if is_dataclass(value):
            yield from described(value, prefix)
        else:
            default = list(value) if isinstance(value, tuple) else value
            yield Parameter(prefix + each.name, default, known[each.name])
