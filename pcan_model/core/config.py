"""One configuration: every constant of the paper is a field with its unit and meaning."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from pcan_model.core.config_limits import faults

CLASSES = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")  # BDD100K
PRESETS = Path(__file__).parents[1] / "configs"


class ConfigError(ValueError):
    """A configuration that cannot be read: says file, key, expected and got."""


@dataclass(frozen=True, slots=True)
class InputConfig:
    """The picture that the network sees."""

    fit: str = "letterbox"  # letterbox: always height x width | resize: within it, no border (released)
    height: int = 736  # pixels, a multiple of 32 unless only a limit
    width: int = 1280
    mean: tuple[float, ...] = (123.675, 116.28, 103.53)  # RGB, of ImageNet, 0..255
    std: tuple[float, ...] = (58.395, 57.12, 57.375)  # RGB


@dataclass(frozen=True, slots=True)
class BackboneConfig:
    """Picture to pyramid P2..P5 (strides 4..32); P6 (stride 64) serves proposals only."""

    kind: str = "resnet50"  # resnet50 | mobilenet_v2
    channels: int = 256  # C, of every pyramid level
    separable: bool = False  # depthwise separable 3x3 convolutions in pyramid and proposals
    frozen: int = 1  # leading backbone stages that training leaves alone


@dataclass(frozen=True, slots=True)
class FrameAttentionConfig:
    """Frame-level attention (sec. 3.3.1), and the baselines it is compared with."""

    enabled: bool = True  # False: past frames change nothing (ablation)
    kind: str = "prototypical"  # prototypical | non_local | transformer (Table 5)
    levels: tuple[int, ...] = (3, 4, 5)  # pyramid levels that carry a memory
    memory_frames: int = 8  # T, frames kept
    memory_interval: int = 1  # keep every n-th frame
    prototypes: int = 64  # N per memory frame and level (Table 8)
    em_steps: int = 6  # EM iterations (Table 9)
    sigma2: float = 0.05  # constant variance of Eq. 2; 1/20, see prototypes.py
    key_channels: int = 64  # D of the keys
    value_channels: int = 256  # channels of the values
    heads: int = 8  # of the transformer; divides value_channels
    layers: int = 1  # of the transformer


@dataclass(frozen=True, slots=True)
class ProposalConfig:
    """Region proposals."""

    anchor_scale: float = 8.0  # anchor side in strides
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)  # height / width
    per_level: int = 1000  # kept per pyramid level before NMS
    count: int = 1000  # proposals handed to the box head
    nms_iou: float = 0.7
    nms_steps: int = 12  # fixed-point steps of the static NMS


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """Box, mask and embedding heads on RoI features."""

    box_size: int = 7  # cells of the RoI grid for boxes and embeddings
    mask_size: int = 14  # cells of the RoI grid for masks; masks have twice as many
    box_channels: int = 1024  # of the two hidden layers of the box head
    cell_samples: int = 2  # samples of a cell along each axis; 0: as many as its pixels (released)
    mask_layers: int = 4
    embed_layers: int = 4
    embed_channels: int = 256  # length of the appearance embedding
    class_agnostic: bool = False  # one box and one mask per RoI instead of one per class
    score_threshold: float = 0.05  # weaker detections are dropped
    nms_iou: float = 0.5
    detections: int = 100  # D, padded detections of a frame


@dataclass(frozen=True, slots=True)
class InstanceAttentionConfig:
    """Instance-level prototypical cross-attention (sec. 3.3.2)."""

    enabled: bool = True  # False: the initial masks are the final ones (ablation)
    foreground: int = 30  # prototypes (Table 6); 0 for none
    background: int = 30
    em_steps: int = 6
    sigma2: float = 0.05  # constant variance of Eq. 2; 1/20, see prototypes.py
    propagation: str = "momentum"  # none | initial (kept as a track began) | momentum (Eq. 8); Table 7
    update_rate: float = 0.2  # lambda of Eq. 8 (Table 7)
    key_channels: int = 64  # D of the keys
    layers: int = 4  # 3x3 convolutions of the temporal segmentation head


@dataclass(frozen=True, slots=True)
class ReleasedConfig:
    """What the released form has beyond the paper (docs/released.md); unused in the paper's form.

    Prototype numbers, levels and EM steps are those of the attention parts above; the temperature of
    its clustering is 1 / sigma2.
    """

    own_share: float = 0.75  # of a level's own features in its fusion with the memory
    bank_rate: float = 0.75  # share of the newest fused level in the bank
    start_rate: float = 0.5  # share of the newest frame prototypes in the next start
    drift_rate: float = 0.05  # share of the newest instance prototypes in the starts when they drift
    drift: bool = False  # starts drift during inference too, so that results depend on the past
    dice_weight: float = 0.0  # of the dice loss beside the masks' cross-entropy in training; 0: none
    reference_mask: bool = False  # the refinement also sees the reference's mask
    idle_when_empty: bool = True  # a frame without detections leaves tracks and backdrops as they are


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Association; scores in [0, 1], times in frames."""

    association: str = "quasi_dense"  # quasi_dense (by appearance) | sort_iou (by overlap, a baseline)
    similarity: str = "bisoftmax"  # of embeddings: bisoftmax (PCAN's) | softmax | cosine
    match_classes: str = "same"  # same | any: which classes a track's detections may have
    init_score: float = 0.7  # a detection above this may start a track
    track_score: float = 0.3  # a detection above this may continue one
    match_score: float = 0.5  # least similarity of a match
    match_iou: float = 0.3  # least overlap of a match of sort_iou, with the track's predicted box
    suppress_score: float = 0.5  # above this similarity a weak detection is no backdrop either
    duplicate_iou: float = 0.7  # of two detections that overlap more, the better one stays
    backdrop_iou: float = 0.3  # an unmatched detection overlapping a better one is no backdrop
    iou_weight: float = 0.0  # share of box overlap in the similarity; 0 is the paper's appearance only
    momentum: float = 0.8  # share of the new embedding in a track's running mean
    velocity_momentum: float = 0.5  # share of the newest motion in a track's running mean velocity
    keep_lost: int = 10  # frames a track survives unseen
    keep_backdrops: int = 1  # frames an unmatched detection competes for matches
    capacity: int = 128  # M, rows of the prototype bank, most tracks at a time


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """The training recipe (QDTrack's, which the paper follows)."""

    stage: str = "joint"  # joint | heads, instance (stages.py) | detector, masks, refinement (released)
    augment: str = "strong"  # strong | flip: nothing but mirroring, half of the pairs (released)
    iterations: int = 90_000
    batch: int = 16  # pairs per step over all processes; the learning rate is for this many
    optimizer: str = "sgd"  # sgd (the paper's) | adamw
    learning_rate: float = 0.02
    backbone_rate: float = 1.0  # of the backbone, relative to learning_rate
    momentum: float = 0.9  # of sgd
    weight_decay: float = 1e-4
    warmup: int = 1000  # iterations
    schedule: str = "step"  # step (x0.1 after 2/3 and 11/12 of the iterations) | cosine
    gradient_clip: float = 0.0  # largest gradient norm, 0 for none
    average: float = 0.999  # share of the old in the running mean of the weights that is saved; 0: none
    mixed_precision: bool = True  # float16 on a GPU, bfloat16 on a CPU
    proposals: int = 1000  # regions per picture before drawing
    memory_share: float = 0.85  # of the keys read their reference; the others learn a drive's first frame
    embedding_weight: float = 0.25  # of the contrastive loss
    reference_range: int = 3  # the reference is at most this many frames away
    crop_height: int = 736  # pixels of a training picture
    crop_width: int = 1280
    rpn_samples: int = 256  # anchors per picture in the loss
    roi_samples: int = 512  # proposals per picture in the loss
    roi_positives: float = 0.25  # largest share of positives among them
    mask_samples: int = 0  # of these positives, how many per picture teach masks; 0: all


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that decides what the network computes and how it is trained."""

    name: str = "pcan_r50_bdd100k"
    form: str = "paper"  # paper | released
    classes: tuple[str, ...] = CLASSES
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
        for fault in faults(self):
            raise ConfigError(f"{self.name}: {fault}")


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
    return config_from_dict({} if values is None else values, str(path))


def config_from_dict(values: dict[str, Any], where: str = "config") -> Config:
    """Build a Config from nested plain values, as in YAML; unknown keys are refused."""
    config: Config = _build(Config, values, where)
    return config


def config_to_dict(config: Config) -> dict[str, Any]:
    """Return nested plain values that `config_from_dict` turns into the same Config."""
    plain: dict[str, Any] = yaml.safe_load(yaml.safe_dump(_plain(asdict(config))))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _build(kind: Any, values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected keys and values, got {values!r}")
    hints = get_type_hints(kind)
    unknown = set(values) - {f.name for f in fields(kind)}
    if unknown:
        key = min(unknown, key=str)
        raise ConfigError(f"{where}: {key}: expected one of {sorted(hints)}, got an unknown key")
    return kind(**{key: _value(hints[key], value, f"{where}: {key}") for key, value in values.items()})


def _value(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind):
        return _build(kind, value, where)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    origin = getattr(kind, "__origin__", kind)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_value(kind.__args__[0], item, where) for item in value)
    if not isinstance(value, kind if isinstance(kind, type) and origin is kind else tuple):
        raise ConfigError(f"{where}: expected {getattr(kind, '__name__', kind)}, got {value!r}")
    if kind is int and isinstance(value, bool):
        raise ConfigError(f"{where}: expected int, got {value!r}")
    return value
