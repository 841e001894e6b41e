"""The training recipe: constants with units, limits and choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pcan_model.core.fields import setting, share

Stage = Literal[
    "joint", "heads", "instance", "regions", "memory", "classes", "whole", "detector", "masks", "refinement"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """The training recipe (QDTrack's, which the paper follows)."""

    stage: Stage = setting(
        "joint",
        "parameters to train: joint for all; heads, then instance (stages.py); regions, memory, classes, "
        "then whole with yolox; detector, memory, instance or joint with sipmask; detector, masks, then "
        "refinement for the released variant",
    )
    new_classes: tuple[str, ...] = setting(
        (), "classes that stage classes trains; without any those that COCO lacks (rider)"
    )
    augment: Literal["strong", "flip"] = setting(
        "strong", "flip: horizontal flips only, of half of the clips (released)"
    )
    iterations: int = setting(90_000, "optimiser steps", low=0)
    batch: int = setting(
        16, "clips per step over all processes; the learning rate is for this batch size", low=1
    )
    optimizer: Literal["sgd", "adamw"] = setting("sgd", "sgd in the paper")
    learning_rate: float = setting(
        0.02, "learning rate of all but the backbone, for a batch of `batch`", low=0.0
    )
    backbone_rate: float = setting(1.0, "learning rate of the backbone, relative to learning_rate", low=0.0)
    momentum: float = share(0.9, "momentum of sgd")
    weight_decay: float = setting(1e-4, "weight decay of the optimiser", low=0.0)
    warmup: int = setting(1000, "iterations until the full learning rate", low=0)
    schedule: Literal["step", "cosine"] = setting("step", "step: x0.1 after 2/3 and 11/12 of the iterations")
    gradient_clip: float = setting(0.0, "maximum gradient norm; 0 for none", low=0.0)
    average: float = share(
        0.999, "decay of the exponential moving average of the weights, which is saved; 0 for none"
    )
    mixed_precision: bool = setting(True, "float16 on a GPU, bfloat16 on a CPU")
    proposals: int = setting(1000, "proposals per image before sampling", low=1)
    memory_share: float = share(
        0.85, "share of key frames that read their reference; the others train a clip's first frame"
    )
    embedding_weight: float = setting(0.25, "weight of the contrastive loss", low=0.0)
    reference_range: int = setting(
        3, "maximum distance of the reference from the key frame", unit="frames", low=1
    )
    clip_frames: int = setting(
        2, "T, frames of a training clip: the key, the reference and older frames", low=2, high=33
    )
    clip_gradients: int = setting(
        2, "number of newest frames of a clip with gradients to the backbone", low=2
    )
    crop_height: int = setting(736, "height of a training image", unit="pixels", low=1)
    crop_width: int = setting(1280, "width of a training image", unit="pixels", low=1)
    rpn_samples: int = setting(256, "sampled anchors per image", low=1)
    roi_samples: int = setting(512, "sampled proposals per image", low=1)
    roi_positives: float = share(0.25, "maximum share of positives among the sampled proposals")
    mask_samples: int = setting(0, "positives per image in the mask loss; 0: all", low=0)
