"""The node's parameters: dataclass fields in, ROS parameters with descriptions and ranges out."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, fields, replace
from typing import Any

from pcan_model.core.config import TrackerConfig
from pcan_model.core.config_limits import CHOICES as CONFIG_CHOICES
from pcan_model.core.masks import Encoding
from pcan_model.inference.backends import BACKENDS, PRECISIONS, PROVIDER_NAMES, EngineOptions
from pcan_ros.node.camera import TimeLimits

TRACKER = "tracker."  # prefix of TrackerConfig's fields
NOT_HERE = {"capacity", "association", "match_iou"}  # of TrackerConfig: the network's size; evaluation's SORT
RUNTIME = {
    "mask_encoding",
    "publish_lost",
    "time_jump_tolerance",
    "time_gap_limit",
}  # of Settings; so are the tracker's thresholds
CHOICES = {
    "reliability": ("best_effort", "reliable"),
    "backend": BACKENDS,
    "provider": PROVIDER_NAMES,
    "precision": PRECISIONS,
    "mask_encoding": ("rle", "bitmap", "mono8", "none"),
    "tracker.similarity": CONFIG_CHOICES["tracker", "similarity"],
    "tracker.match_classes": CONFIG_CHOICES["tracker", "match_classes"],
}
RANGES: dict[str, tuple[float, float]] = {
    "threads": (0, 256),
    "time_jump_tolerance": (0.0, 3600.0),
    "time_gap_limit": (0.0, 86_400.0),
    "status_period": (0.1, 3600.0),
}
FRAMES = (0, 10_000)  # range of the tracker's whole numbers
SHARE = (0.0, 1.0)  # range of the tracker's thresholds
ROS = ("use_sim_time", "start_type_description_service")  # rclpy's own, and all qos_overrides
ENCODINGS = dict(
    zip(
        CHOICES["mask_encoding"],
        (Encoding.RLE_COCO, Encoding.BITMAP, Encoding.MONO8, Encoding.NONE),
        strict=True,
    )
)


class ParameterError(ValueError):
    """A parameter that is unknown or has a value that does not fit: names it and what was expected."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the node is started with; the comment on each line is its description."""

    model: str = ""  # folder of the exported model; empty for the installed models/pcan_street_tiny
    cameras: tuple[str, ...] = ("~/image",)  # image topics, one camera each
    compressed: bool = False  # subscribe to sensor_msgs/CompressedImage on <topic>/compressed
    reliability: str = "best_effort"  # of the image subscriptions; reliable for bags in lock-step
    threads: int = 0  # CPU threads of the network, 0 for one per core
    backend: str = "auto"  # what runs the network; auto takes the best that works here and logs why
    provider: str = "auto"  # execution provider of ONNX Runtime; auto is cuda where it has it, else cpu
    precision: str = "auto"  # what the model must have been exported in; auto takes what it is
    engine_cache: str = ""  # folder of TensorRT engines; empty for ~/.cache/pcan_ros/engines
    engine_build: bool = True  # build a TensorRT engine that the cache lacks, for minutes; else say how to
    batch_cameras: bool = True  # TensorRT: all cameras in one launch, if the model was exported for so many
    mask_encoding: str = "rle"  # how masks are sent, see msg/InstanceMask
    publish_lost: bool = False  # also publish tracks that are LOST or REMOVED in this frame
    time_jump_tolerance: float = 0.5  # seconds a stamp may go back before the tracks are reset
    time_gap_limit: float = 10.0  # seconds without an image after which the tracks are reset; 0 for never
    status_period: float = 1.0  # seconds between two messages on /diagnostics
    autostart: bool = True  # configure and activate without a lifecycle manager

    def __post_init__(self) -> None:
        if not self.cameras or not all(self.cameras):
            raise ParameterError(f"cameras: expected at least one topic, got {list(self.cameras)}")
        if len(set(self.cameras)) < len(self.cameras):
            raise ParameterError(f"cameras: expected every topic once, got {list(self.cameras)}")

    @property
    def engine(self) -> EngineOptions:
        """Return how the model is to be run."""
        return EngineOptions(
            backend=self.backend,
            provider=self.provider,
            precision=self.precision,
            threads=self.threads,
            engine_cache=self.engine_cache,
            engine_build=self.engine_build,
            batch_cameras=self.batch_cameras,
        )

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
    description: str
    read_only: bool  # settable at start only
    limits: tuple[float, float] | None = None  # both included
    choices: tuple[str, ...] = ()

    def check(self, value: Any) -> None:
        """Raise ParameterError unless there is a value, one of the choices and inside the range."""
        if value is None:  # what an empty list in a file is to ROS
            raise ParameterError(f"{self.name}: expected a value such as {self.default!r}, got none")
        if self.choices and value not in self.choices:
            raise ParameterError(f"{self.name}: expected one of {', '.join(self.choices)}; got {value!r}")
        if self.limits and not self.limits[0] <= value <= self.limits[1]:
            raise ParameterError(f"{self.name}: expected {self.limits[0]} to {self.limits[1]}, got {value}")


def parameters(tracker: TrackerConfig) -> dict[str, Parameter]:
    """Return every parameter of the node by name; the thresholds' defaults are the model's."""
    own, thresholds = _described(Settings()), _described(tracker, TRACKER)
    return {p.name: p for p in (*own, *thresholds) if p.name.removeprefix(TRACKER) not in NOT_HERE}


def settings_from(values: dict[str, Any]) -> Settings:
    """Build the settings from parameter values by name."""
    own = {field.name: values[field.name] for field in fields(Settings) if field.name in values}
    return Settings(**{**own, "cameras": tuple(own.get("cameras", ()))})


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


def _described(record: Any, prefix: str = "") -> list[Parameter]:
    comments = field_comments(type(record))
    return [_parameter(prefix + f.name, getattr(record, f.name), comments[f.name]) for f in fields(record)]


def _parameter(name: str, default: Any, description: str) -> Parameter:
    threshold = name.startswith(TRACKER)
    limits = RANGES.get(name)
    if threshold and not isinstance(default, str):
        limits = SHARE if isinstance(default, float) else FRAMES
    read_only = not (threshold or name in RUNTIME)
    default = list(default) if isinstance(default, tuple) else default
    return Parameter(name, default, description, read_only, limits, CHOICES.get(name, ()))


def field_comments(kind: type) -> dict[str, str]:
    """Return the comment behind each field of a dataclass: the one place where it is described."""
    return dict(re.findall(r"^    (\w+): [^#\n]*(?:# (.+))?$", inspect.getsource(kind), re.MULTILINE))
