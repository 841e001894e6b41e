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
from pcan_model.core.tracker_config import TrackerConfig

CLASSES = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")  # BDD100K
PRESETS = Path(__file__).parents[1] / "configs"
RENAMED = {"form": "variant"}  # keys of older files to today's
RENAMED_TRACKER = {"keep_lost": "lost_frames"}  # and those of its part tracker

Stage = Literal["joint", "heads", "instance", "regions", "memory", "whole", "detector", "masks", "refinement"]
BACKBONES = {"mask_rcnn": ("resnet50", "mobilenet_v2"), "yolox": ("darknet_nano",)}  # by detector
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
    """Image to pyramid P2..P5 (strides 4..32); P6 (stride 64) serves proposals only."""

    kind: Literal["resnet50", "mobilenet_v2", "darknet_nano"] = setting(
        "resnet50", "network that reads the image; darknet_nano is of the detector yolox"
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
class TrainConfig:
    """The training recipe (QDTrack's, which the paper follows)."""

    stage: Stage = setting(
        "joint",
        "what learns: all at once; heads, then instance (stages.py); regions, memory, then the whole of the "
        "one-stage form (one_stage); or the released stages",
    )
    augment: Literal["strong", "flip"] = setting(
        "strong", "flip: nothing but mirroring, half of the pairs (released)"
    )
    iterations: int = setting(90_000, "optimiser steps", low=0)
    batch: int = setting(16, "pairs per step over all processes; the learning rate is for this many", low=1)
    optimizer: Literal["sgd", "adamw"] = setting("sgd", "the paper's is sgd")
    learning_rate: float = setting(0.02, "of all but the backbone, for a batch of `batch`", low=0.0)
    backbone_rate: float = setting(1.0, "of the backbone, relative to learning_rate", low=0.0)
    momentum: float = share(0.9, "of sgd")
    weight_decay: float = setting(1e-4, "of the optimiser", low=0.0)
    warmup: int = setting(1000, "iterations until the full learning rate", low=0)
    schedule: Literal["step", "cosine"] = setting("step", "step: x0.1 after 2/3 and 11/12 of the iterations")
    gradient_clip: float = setting(0.0, "largest gradient norm, 0 for none", low=0.0)
    average: float = share(
        0.999, "share of the old in the running mean of the weights that is saved; 0 for none"
    )
    mixed_precision: bool = setting(True, "float16 on a GPU, bfloat16 on a CPU")
    proposals: int = setting(1000, "regions per image before drawing", low=1)
    memory_share: float = share(
        0.85, "of the keys read their reference; the others learn a drive's first frame"
    )
    embedding_weight: float = setting(0.25, "of the contrastive loss", low=0.0)
    reference_range: int = setting(3, "the reference is at most this many frames away", low=1)
    crop_height: int = setting(736, "of a training image", unit="pixels", low=1)
    crop_width: int = setting(1280, "of a training image", unit="pixels", low=1)
    rpn_samples: int = setting(256, "anchors per image in the loss", low=1)
    roi_samples: int = setting(512, "proposals per image in the loss", low=1)
    roi_positives: float = share(0.25, "largest share of positives among them")
    mask_samples: int = setting(0, "of these positives, how many per image teach masks; 0: all", low=0)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that decides what the network computes and how it is trained."""

    name: str = setting("pcan_r50_bdd100k", "of the network, for people")
    variant: Literal["paper", "released"] = setting(
        "paper", "PCAN as the paper has it, or as its authors released it"
    )
    detector: Literal["mask_rcnn", "yolox"] = setting(
        "mask_rcnn", "two stages, or one (YOLOX; of the variant paper)"
    )
    classes: tuple[str, ...] = setting(CLASSES, "names, in the order of the class heads")
    input: InputConfig = field(default_factory=InputConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    frame_attention: FrameAttentionConfig = field(default_factory=FrameAttentionConfig)
    proposals: ProposalConfig = field(default_factory=ProposalConfig)
    heads: HeadConfig = field(default_factory=HeadConfig)
    instance_attention: InstanceAttentionConfig = field(default_factory=InstanceAttentionConfig)
    released: ReleasedConfig = field(default_factory=ReleasedConfig)
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
    if config.detector != "mask_rcnn" and config.variant != "paper":
        yield f"variant: expected paper for detector {config.detector}, got {config.variant!r}"
    for part in fields(config):
        record = getattr(config, part.name)
        if is_dataclass(record):
            yield from (f"{part.name}.{fault}" for fault in faults(record))
    frame, rows, found = config.frame_attention, config.tracker.capacity, config.heads.detections
    if frame.kind == "transformer" and frame.value_channels % frame.heads:
        expected = f"a divisor of value_channels ({frame.value_channels})"
        yield f"frame_attention.heads: expected {expected}, got {frame.heads}"
    if rows < found:
        yield f"tracker.capacity: expected at least heads.detections ({found}), got {rows}"


def load_config(source: str | Path) -> Config:
    """Read a YAML file, or a preset by its name (`pcan_street_tiny`).

    Raises ConfigError when the file is missing or a key or value does not fit.
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
    for key, new in _todays(values)[1].items():
        _warn_once(path, key, new)
    return config_from_dict({} if values is None else values, str(path))


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
    log.warning("%s: %s: is called %s now, and was read as that", path, key, new)


def config_from_dict(values: dict[str, Any], where: str = "config") -> Config:
    """Build a Config from nested plain values, as in YAML; unknown keys are refused.

    Keys of older files are read as today's: checkpoints and manifests keep what they were written with.
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
