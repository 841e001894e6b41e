"""The node's parameters: dataclass fields in, ROS parameters with descriptions and ranges out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

from pcan_model.core.errors import UserError
from pcan_model.core.fields import Setting, setting, settings_of
from pcan_model.core.masks import Encoding
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.inference.backends import EngineOptions
from pcan_ros.node.camera import TimeLimits

TRACKER = "tracker."  # prefix of TrackerConfig's fields; those are parameters that may change at runtime
RENAMED = {"tracker.keep_lost": "tracker.lost_frames"}  # parameters' older names to today's
ROS = ("use_sim_time", "start_type_description_service")  # rclpy's own, and all qos_overrides
ENCODINGS = {
    "rle": Encoding.RLE_COCO,
    "bitmap": Encoding.BITMAP,
    "mono8": Encoding.MONO8,
    "none": Encoding.NONE,
}


class ParameterError(UserError, ValueError):
    """A parameter that is unknown or has a value that does not fit: names it and what was expected."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the node is started with."""

    model: str = setting("", "folder of the exported model; empty for the installed models/pcan_street")
    cameras: tuple[str, ...] = setting(
        ("~/image",),
        "image topics, one camera each; outputs are ~/tracks for one, ~/camera0/tracks for several",
    )
    compressed: bool = setting(False, "subscribe to sensor_msgs/CompressedImage on <topic>/compressed")
    reliability: Literal["best_effort", "reliable"] = setting(
        "best_effort", "of the image subscriptions; reliable for bags played in lock-step"
    )
    sync: Literal["none", "exact", "approximate"] = setting(
        "none", "of several cameras: track each one's newest image, or those of one instant together"
    )
    sync_slop: float = setting(
        0.02, "how far the stamps of one approximate instant may be apart", unit="seconds", low=0.0, high=10.0
    )
    camera_info: Literal["none", "check", "rectify"] = setting(
        "none",
        "the calibration beside a camera's images: compare it with them and pass it on; rectify them by it",
    )
    engine: EngineOptions = field(default_factory=EngineOptions)
    mask_encoding: Literal["rle", "bitmap", "mono8", "none"] = setting(
        "rle", "how masks are sent, see msg/InstanceMask", runtime=True
    )
    publish_lost: bool = setting(
        False, "also publish tracks that are LOST or REMOVED in this frame", runtime=True
    )
    classes: str = setting("", "names of the classes to track, by commas; empty for all", runtime=True)
    class_scores: str = setting(
        "", "a class's detections below a score are not tracked: car=0.5,pedestrian=0.4", runtime=True
    )
    min_size: float = setting(
        0.0,
        "objects whose box is shorter and narrower are not tracked",
        unit="pixels of the image",
        low=0.0,
        high=10_000.0,
        runtime=True,
    )
    ignore: str = setting(
        "",
        "regions where nothing is tracked, by semicolons: corners as 0,600 1280,600 1280,720, or an image's "
        "file, ignored where it is not black; 1: before one of camera 1 only",
        runtime=True,
    )
    jpeg_quality: int = setting(80, "of ~/overlay/compressed", low=1, high=100, runtime=True)
    time_jump_tolerance: float = setting(
        0.5,
        "how far a stamp may go back before the tracks are reset",
        unit="seconds",
        low=0.0,
        high=3600.0,
        runtime=True,
    )
    time_gap_limit: float = setting(
        10.0,
        "time without an image after which the tracks are reset; 0 for never",
        unit="seconds",
        low=0.0,
        high=86_400.0,
        runtime=True,
    )
    parameters_file: str = setting(
        "", "where ~/save_parameters writes what has been set; empty for ~/.ros/<node>.yaml", runtime=True
    )
    status_period: float = setting(
        1.0, "time between two messages on /diagnostics", unit="seconds", low=0.1, high=3600.0
    )
    autostart: bool = setting(True, "configure and activate without a lifecycle manager")

    def __post_init__(self) -> None:
        if not self.cameras or not all(self.cameras):
            raise ParameterError(f"cameras: expected at least one topic, got {list(self.cameras)}")
        if len(set(self.cameras)) < len(self.cameras):
            raise ParameterError(f"cameras: expected every topic once, got {list(self.cameras)}")
        if self.sync != "none" and len(self.cameras) < 2:
            raise ParameterError(f"sync: expected none for a single camera, got {self.sync}")

    @property
    def time_limits(self) -> TimeLimits:
        """Return how far stamps may jump before tracks are reset."""
        return TimeLimits(self.time_jump_tolerance, self.time_gap_limit)

    @property
    def encoding(self) -> Encoding:
        """Return the layout of published masks."""
        return ENCODINGS[self.mask_encoding]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as the node declares it."""

    name: str
    default: Any  # bool, int, float, str or list of str
    field: Setting  # what is known of it

    @property
    def description(self) -> str:
        """Return what it means, with its unit."""
        return self.field.text

    @property
    def read_only(self) -> bool:
        """Return whether it can be set at the start only."""
        return not self.field.runtime

    def check(self, value: Any) -> None:
        """Raise ParameterError unless there is a value, one of the choices and inside the range."""
        if value is None:  # what an empty list in a file is to ROS
            raise ParameterError(f"{self.name}: expected a value such as {self.default!r}, got none")
        fault = self.field.fault(value)
        if fault:
            raise ParameterError(f"{self.name}: {fault}")


def parameters(tracker: TrackerConfig) -> dict[str, Parameter]:
    """Return every parameter of the node by name; the thresholds' defaults are the model's."""
    thresholds = (p for p in _described(tracker, TRACKER) if not p.read_only)
    return {p.name: p for p in (*_described(Settings()), *thresholds)}


def settings_from(values: dict[str, Any]) -> Settings:
    """Build the settings from parameter values by name."""
    own = {name: values[name] for name in settings_of(Settings) if name in values}
    engine = {name: values[name] for name in settings_of(EngineOptions) if name in values}
    cameras = tuple(own.get("cameras", Settings().cameras))
    return Settings(**{**own, "cameras": cameras, "engine": EngineOptions(**engine)})


def thresholds_from(values: dict[str, Any], base: TrackerConfig) -> TrackerConfig:
    """Return `base`, the model's, with the `tracker.*` values put in.

    Raises ParameterError where the model wants a matching that robots do not have.
    """
    if base.association != "quasi_dense":
        raise ParameterError(f"model: association: expected quasi_dense, got {base.association}")
    own = {name.removeprefix(TRACKER): value for name, value in values.items() if name.startswith(TRACKER)}
    return replace(base, **own)


def refuse_unknown(names: list[str], known: dict[str, Parameter]) -> None:
    """Raise ParameterError for the first name that is not a parameter of this node."""
    for name in names:
        if name not in (*known, *ROS) and not name.startswith("qos_overrides."):
            raise ParameterError(f"{name}: no such parameter; expected one of {', '.join(known)}")


def _described(record: Any, prefix: str = "") -> Iterator[Parameter]:
    """Yield the parameters of a dataclass in the order of its fields, and of the dataclasses in it."""
    known = settings_of(type(record))
    for each in fields(record):
        value = getattr(record, each.name)
        if is_dataclass(value):
            yield from _described(value, prefix)
        else:
            default = list(value) if isinstance(value, tuple) else value
            yield Parameter(prefix + each.name, default, known[each.name])
