"""The configuration: every constant of the paper as a field with unit, description, limits and choices."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pcan_model.core.errors import UserError
from pcan_model.core.fields import faults, setting, share
from pcan_model.core.plain_values import PlainValueError, from_plain, renamed, to_plain
from pcan_model.core.sipmask_config import SipMaskConfig
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.core.train_config import TrainConfig
from pcan_model.core.yaml_text import YamlTextError, read_yaml

CLASSES = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")  # BDD100K
PRESETS = Path(__file__).parents[1] / "configs"
BASE = "base"  # key of the configuration whose values are the defaults of a file
RENAMED = {"form": "variant"}  # old keys to current ones
RENAMED_TRACKER = {"keep_lost": "lost_frames"}  # of the part `tracker`

RESNETS = ("resnet50", "resnet101")
BACKBONES = {  # by detector
    "mask_rcnn": (*RESNETS, "mobilenet_v2"),
    "yolox": ("darknet_nano",),
    "sipmask": (*RESNETS, "mobilenet_v2"),
}
log = logging.getLogger(__name__)


class ConfigError(UserError, ValueError):
    """Invalid configuration; names the file, the key, what was expected and what was given."""


@dataclass(frozen=True, slots=True)
class InputConfig:
    """The network input."""

    fit: Literal["letterbox", "resize"] = setting(
        "letterbox", "letterbox: padded to height x width; resize: at most that, no border (released)"
    )
    height: int = setting(736, "height of the network input; a multiple of 32 for letterbox", unit="pixels")
    width: int = setting(1280, "width of the network input; a multiple of 32 for letterbox", unit="pixels")
    mean: tuple[float, ...] = setting((123.675, 116.28, 103.53), "RGB mean; ImageNet's", low=0.0, high=255.0)
    std: tuple[float, ...] = setting((58.395, 57.12, 57.375), "RGB standard deviation; ImageNet's", low=1e-3)
    border: tuple[float, ...] = setting(
        (), "RGB of the letterbox border; the mean if empty", low=0.0, high=255.0
    )


@dataclass(frozen=True, slots=True)
class BackboneConfig:
    """Backbone and feature pyramid P2..P5 (strides 4..32); P6 for proposals, P6 and P7 for SipMask."""

    kind: Literal["resnet50", "resnet101", "mobilenet_v2", "darknet_nano"] = setting(
        "resnet50", "backbone network; darknet_nano for the yolox detector"
    )
    caffe: bool = setting(
        False, "Caffe's ResNet: BGR images, and the stride of a stage in its first 1x1 convolution"
    )
    channels: int = setting(256, "C, channels of every pyramid level", low=1)
    separable: bool = setting(False, "depthwise separable 3x3 convolutions in pyramid and proposals")
    frozen: int = setting(1, "number of first backbone stages frozen in training", low=0)


@dataclass(frozen=True, slots=True)
class FrameAttentionConfig:
    """Frame-level attention (sec. 3.3.1) and its baselines."""

    enabled: bool = setting(True, "use the frame memory; disabled for the ablation")
    kind: Literal["prototypical", "non_local", "transformer"] = setting(
        "prototypical", "the paper's, or one of the baselines in Table 5"
    )
    levels: tuple[int, ...] = setting((3, 4, 5), "pyramid levels with a frame memory", low=2, high=5)
    memory_frames: int = setting(8, "T, frames in the memory", low=1, high=32)
    memory_interval: int = setting(1, "store every n-th frame in the memory", low=1, high=10_000)
    prototypes: int = setting(64, "N per memory frame and level (Table 8)", low=1, high=4096)
    em_steps: int = setting(6, "EM iterations (Table 9)", low=1, high=100)
    sigma2: float = setting(0.05, "constant variance of Eq. 2; 1/20, see prototypes.py", low=1e-6)
    key_channels: int = setting(64, "D of the keys", low=1)
    value_channels: int = setting(256, "channels of the values", low=1)
    heads: int = setting(8, "attention heads of the transformer; a divisor of value_channels", low=1, high=64)
    layers: int = setting(1, "encoder layers of the transformer", low=1, high=64)


@dataclass(frozen=True, slots=True)
class ProposalConfig:
    """Region proposals."""

    anchor_scale: float = setting(8.0, "anchor side in strides", low=1e-3)
    ratios: tuple[float, ...] = setting((0.5, 1.0, 2.0), "height / width", low=1e-3)
    per_level: int = setting(1000, "proposals per pyramid level before NMS", low=1)
    count: int = setting(1000, "proposals for the box head", low=1)
    nms_iou: float = share(0.7, "IoU threshold of NMS")
    nms_steps: int = setting(12, "fixed-point iterations of the static NMS", low=1)


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """Box, mask and embedding heads on RoI features."""

    box_size: int = setting(7, "side of the RoI grid for boxes and embeddings", low=1)
    mask_size: int = setting(14, "side of the RoI grid for masks; masks are twice as large", low=1)
    box_channels: int = setting(1024, "channels of the two hidden layers of the box head", low=1)
    cell_samples: int = setting(2, "RoIAlign samples per cell and axis; 0: one per pixel (released)", low=0)
    mask_layers: int = setting(4, "3x3 convolutions of the mask head", low=0)
    embed_layers: int = setting(4, "3x3 convolutions of the embedding head", low=0)
    embed_channels: int = setting(256, "length of the appearance embedding", low=1)
    class_agnostic: bool = setting(False, "one box and one mask per RoI instead of one per class")
    score_threshold: float = share(0.05, "detections with a lower score are dropped")
    nms_iou: float = share(0.5, "IoU threshold of NMS within a class")
    detections: int = setting(100, "D, detections per frame, padded", low=1)


@dataclass(frozen=True, slots=True)
class InstanceAttentionConfig:
    """Instance-level prototypical cross-attention (sec. 3.3.2)."""

    enabled: bool = setting(True, "refine the initial masks; disabled for the ablation")
    foreground: int = setting(30, "foreground prototypes (Table 6); 0 for none", low=0, high=4096)
    background: int = setting(30, "background prototypes (Table 6); 0 for none", low=0, high=4096)
    em_steps: int = setting(6, "EM iterations (Table 9)", low=1, high=100)
    sigma2: float = setting(0.05, "constant variance of Eq. 2; 1/20, see prototypes.py", low=1e-6)
    propagation: Literal["none", "initial", "momentum"] = setting(
        "momentum",
        "none: fitted anew in each frame; initial: those of the first frame; momentum: Eq. 8 (Table 7)",
    )
    update_rate: float = share(0.2, "lambda of Eq. 8 (Table 7)")
    key_channels: int = setting(64, "D of the keys", low=1)
    layers: int = setting(4, "3x3 convolutions of the temporal segmentation head", low=0)


@dataclass(frozen=True, slots=True)
class ReleasedConfig:
    """Options of the released variant beyond the paper (docs/released.md); unused by the paper's variant.

    Numbers of prototypes, levels and EM steps are those of the attention modules above; the temperature
    of the clustering is 1 / sigma2.
    """

    own_share: float = share(0.75, "share of a level's own features in its fusion with the memory")
    bank_rate: float = share(0.75, "share of the newest fused level in the bank")
    start_rate: float = share(0.5, "share of the newest frame prototypes in the next initial means")
    drift_rate: float = share(
        0.05, "share of the newest instance prototypes in the initial means with `drift`"
    )
    drift: bool = setting(
        False, "update the initial means during inference, too; results then depend on the past"
    )
    dice_weight: float = setting(
        0.0, "weight of the dice loss beside the mask cross-entropy; 0 for none", low=0.0
    )
    reference_mask: bool = setting(False, "also refine with the mask of the reference frame")
    idle_when_empty: bool = setting(True, "a frame without detections leaves tracks and backdrops unchanged")


@dataclass(frozen=True, slots=True)
class Config:
    """Complete configuration of a network, its tracker and its training."""

    name: str = setting("pcan_r50_bdd100k", "name of the network, for display")
    variant: Literal["paper", "released"] = setting(
        "paper", "PCAN as in the paper, or as in its authors' code"
    )
    detector: Literal["mask_rcnn", "yolox", "sipmask"] = setting(
        "mask_rcnn", "two-stage, or one-stage (yolox, sipmask; variant paper only)"
    )
    classes: tuple[str, ...] = setting(CLASSES, "class names, in the order of the class heads")
    input: InputConfig = field(default_factory=InputConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    frame_attention: FrameAttentionConfig = field(default_factory=FrameAttentionConfig)
    proposals: ProposalConfig = field(default_factory=ProposalConfig)
    heads: HeadConfig = field(default_factory=HeadConfig)
    instance_attention: InstanceAttentionConfig = field(default_factory=InstanceAttentionConfig)
    released: ReleasedConfig = field(default_factory=ReleasedConfig)
    sipmask: SipMaskConfig = field(default_factory=SipMaskConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        for fault in _faults(self):
            raise ConfigError(f"{self.name}: {fault}")


def _faults(config: Config) -> Iterator[str]:
    """Yield `key: expected …, got …` for each invalid value or combination of values."""
    step = 32 if config.input.fit == "letterbox" else 1
    for side in ("height", "width"):
        value = getattr(config.input, side)
        if value <= 0 or value % step:
            yield f"input.{side}: expected a multiple of {step}, got {value}"
    yield from faults(config)
    if config.backbone.kind not in BACKBONES[config.detector]:
        expected = f"one of {BACKBONES[config.detector]} for detector {config.detector}"
        yield f"backbone.kind: expected {expected}, got {config.backbone.kind!r}"
    if config.backbone.caffe and config.backbone.kind not in RESNETS:
        yield f"backbone.caffe: expected false for {config.backbone.kind}, got true"
    if config.detector == "sipmask" and min(config.frame_attention.levels, default=3) < 3:
        levels = list(config.frame_attention.levels)
        yield f"frame_attention.levels: expected 3 to 5 for SipMask, got {levels}"
    if config.detector != "mask_rcnn" and config.variant != "paper":
        yield f"variant: expected paper for detector {config.detector}, got {config.variant!r}"
    for part in fields(config):
        record = getattr(config, part.name)
        if is_dataclass(record):
            yield from (f"{part.name}.{fault}" for fault in faults(record))
    if config.variant == "released" and config.train.clip_frames != 2:
        yield f"train.clip_frames: expected 2 for variant released, got {config.train.clip_frames}"
    frame, capacity, detections = config.frame_attention, config.tracker.capacity, config.heads.detections
    if frame.kind == "transformer" and frame.value_channels % frame.heads:
        expected = f"a divisor of value_channels ({frame.value_channels})"
        yield f"frame_attention.heads: expected {expected}, got {frame.heads}"
    if capacity < detections:
        yield f"tracker.capacity: expected at least heads.detections ({detections}), got {capacity}"


def load_config(source: str | Path) -> Config:
    """Read a YAML file, or a preset by its name (`pcan_street_tiny`).

    A key `base` names the preset or file whose values are the defaults of this one.
    Raises ConfigError for a missing file, an unknown key or an invalid value.
    """
    path, values = _read(source)
    return config_from_dict(values, str(path))


def _read(source: str | Path, above: tuple[Path, ...] = ()) -> tuple[Path, Any]:
    """Return the path of a configuration and its values, over those of its base.

    above  configurations that this one is the base of
    """
    path = Path(source)
    if not path.suffix:
        path = PRESETS / f"{source}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PRESETS.glob("*.yaml")))
        raise ConfigError(f"{source}: no such configuration; expected a YAML file or one of: {known}")
    try:
        values = read_yaml(path)
    except YamlTextError as error:
        raise ConfigError(f"{path}: expected YAML, got: {error}") from None
    for key, new in _todays(values)[1].items():
        _warn_once(path, key, new)
    values = {} if values is None else values
    if not isinstance(values, dict) or BASE not in values:
        return path, values
    if path in above or not isinstance(values[BASE], str):
        raise ConfigError(f"{path}: {BASE}: expected another preset or YAML file, got {values[BASE]!r}")
    _, below = _read(values.pop(BASE), (*above, path))
    return path, _over(below, values)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return values with those of another dictionary in their place, key by key in the parts too."""
    parts = {k: _over(below[k], v) for k, v in above.items() if isinstance(v, dict) and k in below}
    return {**below, **above, **parts}


def _todays(values: Any) -> tuple[Any, dict[str, str]]:
    """Return nested values under today's names, and which old names they had."""
    if not isinstance(values, dict):
        return values, {}
    values, old = renamed(values, RENAMED)
    if isinstance(values.get("tracker"), dict):
        tracker, inner = renamed(values["tracker"], RENAMED_TRACKER)
        values, old = values | {"tracker": tracker}, old | {f"tracker.{k}": v for k, v in inner.items()}
    return values, old


@cache
def _warn_once(path: Path, key: str, new: str) -> None:
    log.warning("%s: %s: deprecated, use %s", path, key, new)


def config_from_dict(values: dict[str, Any], where: str = "config") -> Config:
    """Build a Config from nested plain values, as in YAML; raises ConfigError for unknown keys.

    Old keys are read as current ones, since checkpoints and manifests keep those they were written with.
    """
    try:
        config: Config = from_plain(Config, _todays(values)[0], where)
    except PlainValueError as error:
        raise ConfigError(str(error)) from None
    return config


def config_to_dict(config: Config) -> dict[str, Any]:
    """Return nested plain values that `config_from_dict` turns into the same Config."""
    plain: dict[str, Any] = to_plain(config)
    return plain
