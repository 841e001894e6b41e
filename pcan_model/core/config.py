"""One configuration: every constant of the paper is a field with its unit, meaning, limits and choices."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from pcan_model.core.errors import UserError
from pcan_model.core.fields import faults, setting, share
from pcan_model.core.plain_values import PlainValueError, from_plain, renamed, to_plain
from pcan_model.core.sipmask_config import SipMaskConfig
from pcan_model.core.train_config import TrainConfig

CLASSES = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")  # BDD100K
PRESETS = Path(__file__).parents[1] / "configs"
BASE = "base"  # key that names the configuration below
RENAMED = {"form": "variant"}  # keys of older files to today's

Association = Literal["quasi_dense", "sort_iou"]
RESNETS = ("resnet50", "resnet101")
BACKBONES = {  # by detector
    "mask_rcnn": (*RESNETS, "mobilenet_v2"),
    "yolox": ("darknet_nano",),
    "sipmask": (*RESNETS, "mobilenet_v2"),
}
log = logging.getLogger(__name__)


class ConfigError(UserError, ValueError):
    """A configuration that cannot be read: says file, key, expected and got."""


@dataclass(frozen=True, slots=True)
class InputConfig:
    """The image that the network sees."""

    fit: Literal["letterbox", "resize"] = setting(
        "letterbox", "letterbox: always height x width; resize: within it, no border (released)"
    )
    height: int = setting(
        736, "of the network's input, a multiple of 32 unless it is only a limit", unit="pixels"
    )
    width: int = setting(
        1280, "of the network's input, a multiple of 32 unless it is only a limit", unit="pixels"
    )
    mean: tuple[float, ...] = setting((123.675, 116.28, 103.53), "RGB, of ImageNet", low=0.0, high=255.0)
    std: tuple[float, ...] = setting((58.395, 57.12, 57.375), "RGB, of ImageNet", low=1e-3)
    border: tuple[float, ...] = setting(
        (), "RGB beside a letterboxed image; without it the mean", low=0.0, high=255.0
    )


@dataclass(frozen=True, slots=True)
class BackboneConfig:
    """Image to pyramid P2..P5 (strides 4..32); P6 (stride 64) serves proposals, or P6 and P7 SipMask."""

    kind: Literal["resnet50", "resnet101", "mobilenet_v2", "darknet_nano"] = setting(
        "resnet50", "network that reads the image; darknet_nano is of the detector yolox"
    )
    caffe: bool = setting(
        False, "the ResNet of Caffe: BGR images, and a stage's stride in its first 1x1 convolution"
    )
    channels: int = setting(256, "C, of every pyramid level", low=1)
    separable: bool = setting(False, "depthwise separable 3x3 convolutions in pyramid and proposals")
    frozen: int = setting(1, "leading backbone stages that training leaves alone", low=0)


@dataclass(frozen=True, slots=True)
class FrameAttentionConfig:
    """Frame-level attention (sec. 3.3.1), and the baselines it is compared with."""

    enabled: bool = setting(True, "without it past frames change nothing (ablation)")
    kind: Literal["prototypical", "non_local", "transformer"] = setting(
        "prototypical", "the paper's, or one of the baselines of Table 5"
    )
    levels: tuple[int, ...] = setting((3, 4, 5), "pyramid levels that carry a memory", low=2, high=5)
    memory_frames: int = setting(8, "T, frames kept", low=1, high=32)
    memory_interval: int = setting(1, "frames from one that is kept to the next", low=1, high=10_000)
    prototypes: int = setting(64, "N per memory frame and level (Table 8)", low=1, high=4096)
    em_steps: int = setting(6, "EM iterations (Table 9)", low=1, high=100)
    sigma2: float = setting(0.05, "constant variance of Eq. 2; 1/20, see prototypes.py", low=1e-6)
    key_channels: int = setting(64, "D of the keys", low=1)
    value_channels: int = setting(256, "channels of the values", low=1)
    heads: int = setting(8, "of the transformer; divides value_channels", low=1, high=64)
    layers: int = setting(1, "of the transformer", low=1, high=64)


@dataclass(frozen=True, slots=True)
class ProposalConfig:
    """Region proposals."""

    anchor_scale: float = setting(8.0, "anchor side in strides", low=1e-3)
    ratios: tuple[float, ...] = setting((0.5, 1.0, 2.0), "height / width", low=1e-3)
    per_level: int = setting(1000, "kept per pyramid level before NMS", low=1)
    count: int = setting(1000, "proposals handed to the box head", low=1)
    nms_iou: float = share(0.7, "of two proposals that overlap more, the better one stays")
    nms_steps: int = setting(12, "fixed-point steps of the static NMS", low=1)


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """Box, mask and embedding heads on RoI features."""

    box_size: int = setting(7, "cells of the RoI grid for boxes and embeddings", low=1)
    mask_size: int = setting(14, "cells of the RoI grid for masks; masks have twice as many", low=1)
    box_channels: int = setting(1024, "of the two hidden layers of the box head", low=1)
    cell_samples: int = setting(
        2, "samples of a cell along each axis; 0: as many as its pixels (released)", low=0
    )
    mask_layers: int = setting(4, "3x3 convolutions of the mask head", low=0)
    embed_layers: int = setting(4, "3x3 convolutions of the embedding head", low=0)
    embed_channels: int = setting(256, "length of the appearance embedding", low=1)
    class_agnostic: bool = setting(False, "one box and one mask per RoI instead of one per class")
    score_threshold: float = share(0.05, "weaker detections are dropped")
    nms_iou: float = share(0.5, "of two detections of a class that overlap more, the better one stays")
    detections: int = setting(100, "D, padded detections of a frame", low=1)


@dataclass(frozen=True, slots=True)
class InstanceAttentionConfig:
    """Instance-level prototypical cross-attention (sec. 3.3.2)."""

    enabled: bool = setting(True, "without it the initial masks are the final ones (ablation)")
    foreground: int = setting(30, "prototypes of the object (Table 6); 0 for none", low=0, high=4096)
    background: int = setting(30, "prototypes of what is around it (Table 6); 0 for none", low=0, high=4096)
    em_steps: int = setting(6, "EM iterations (Table 9)", low=1, high=100)
    sigma2: float = setting(0.05, "constant variance of Eq. 2; 1/20, see prototypes.py", low=1e-6)
    propagation: Literal["none", "initial", "momentum"] = setting(
        "momentum", "initial: kept as a track began; momentum: Eq. 8 (Table 7)"
    )
    update_rate: float = share(0.2, "lambda of Eq. 8 (Table 7)")
    key_channels: int = setting(64, "D of the keys", low=1)
    layers: int = setting(4, "3x3 convolutions of the temporal segmentation head", low=0)


@dataclass(frozen=True, slots=True)
class ReleasedConfig:
    """What the released variant has beyond the paper (docs/released.md); the paper's does not use it.

    Prototype numbers, levels and EM steps are those of the attention parts above; the temperature of
    its clustering is 1 / sigma2.
    """

    own_share: float = share(0.75, "of a level's own features in its fusion with the memory")
    bank_rate: float = share(0.75, "share of the newest fused level in the bank")
    start_rate: float = share(0.5, "share of the newest frame prototypes in the next start")
    drift_rate: float = share(0.05, "share of the newest instance prototypes in the starts when they drift")
    drift: bool = setting(False, "starts drift during inference too, so that results depend on the past")
    dice_weight: float = setting(
        0.0, "of the dice loss beside the masks' cross-entropy in training; 0 for none", low=0.0
    )
    reference_mask: bool = setting(False, "the refinement also sees the reference's mask")
    idle_when_empty: bool = setting(
        True, "a frame without detections leaves tracks and backdrops as they are"
    )


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Association; scores in [0, 1], times in frames."""

    association: Association = setting(
        "quasi_dense", "quasi_dense: by appearance; sort_iou: by overlap, a baseline"
    )
    similarity: Literal["bisoftmax", "softmax", "cosine"] = setting(
        "bisoftmax", "of embeddings; PCAN's is bisoftmax", runtime=True
    )
    match_classes: Literal["same", "any"] = setting(
        "same", "which classes a track's detections may have", runtime=True
    )
    init_score: float = share(0.7, "a detection above this may start a track", runtime=True)
    track_score: float = share(0.3, "a detection above this may continue one", runtime=True)
    match_score: float = share(0.5, "least similarity of a match", runtime=True)
    match_iou: float = share(0.3, "least overlap of a match of sort_iou, with the track's predicted box")
    suppress_score: float = share(
        0.5, "above this similarity a weak detection is no backdrop either", runtime=True
    )
    duplicate_iou: float = share(
        0.7, "of two detections that overlap more, the better one stays", runtime=True
    )
    backdrop_iou: float = share(
        0.3, "an unmatched detection overlapping a better one is no backdrop", runtime=True
    )
    iou_weight: float = share(
        0.0, "share of box overlap in the similarity; the paper's appearance only is 0", runtime=True
    )
    momentum: float = share(0.8, "share of the new embedding in a track's running mean", runtime=True)
    velocity_momentum: float = share(
        0.5, "share of the newest motion in a track's running mean velocity", runtime=True
    )
    overlap: bool = setting(
        False, "masks may cover the same pixels, for metrics that score tracks singly (YouTube-VIS)"
    )
    keep_lost: int = setting(
        10, "how long a track survives unseen", unit="frames", low=0, high=10_000, runtime=True
    )
    keep_backdrops: int = setting(
        1,
        "how long an unmatched detection competes for matches",
        unit="frames",
        low=0,
        high=10_000,
        runtime=True,
    )
    capacity: int = setting(128, "M, rows of the prototype bank, most tracks at a time", low=1, high=10_000)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that decides what the network computes and how it is trained."""

    name: str = setting("pcan_r50_bdd100k", "of the network, for people")
    variant: Literal["paper", "released"] = setting(
        "paper", "PCAN as the paper has it, or as its authors released it"
    )
    detector: Literal["mask_rcnn", "yolox", "sipmask"] = setting(
        "mask_rcnn", "two stages, or one (YOLOX or SipMask; of the variant paper)"
    )
    classes: tuple[str, ...] = setting(CLASSES, "names, in the order of the class heads")
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
    """Yield for each value that does not fit, alone or beside others: key, expected and got."""
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
    frame, rows, found = config.frame_attention, config.tracker.capacity, config.heads.detections
    if frame.kind == "transformer" and frame.value_channels % frame.heads:
        expected = f"a divisor of value_channels ({frame.value_channels})"
        yield f"frame_attention.heads: expected {expected}, got {frame.heads}"
    if rows < found:
        yield f"tracker.capacity: expected at least heads.detections ({found}), got {rows}"


def load_config(source: str | Path) -> Config:
    """Read a YAML file, or a preset by its name (`pcan_street_tiny`).

    A key `base` names the file or preset whose values hold where the file has none.
    Raises ConfigError when the file is missing or a key or value does not fit.
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
        values = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise ConfigError(f"{path}: expected YAML, got: {line}") from error
    _, old = renamed(values, RENAMED) if isinstance(values, dict) else (None, {})
    for key, new in old.items():
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


@cache
def _warn_once(path: Path, key: str, new: str) -> None:
    log.warning("%s: %s: is called %s now, and was read as that", path, key, new)


def config_from_dict(values: dict[str, Any], where: str = "config") -> Config:
    """Build a Config from nested plain values, as in YAML; unknown keys are refused.

    Keys of older files are read as today's: checkpoints and manifests keep what they were written with.
    """
    try:
        known = renamed(values, RENAMED)[0] if isinstance(values, dict) else values
        config: Config = from_plain(Config, known, where)
    except PlainValueError as error:
        raise ConfigError(str(error)) from None
    return config


def config_to_dict(config: Config) -> dict[str, Any]:
    """Return nested plain values that `config_from_dict` turns into the same Config."""
    plain: dict[str, Any] = to_plain(config)
    return plain
