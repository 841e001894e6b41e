"""How a network is trained: the recipe's constants with their units, limits and choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pcan_model.core.fields import setting, share

Stage = Literal["joint", "heads", "instance", "regions", "memory", "whole", "detector", "masks", "refinement"]


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """The training recipe (QDTrack's, which the paper follows)."""

    stage: Stage = setting(
        "joint",
        "what learns: all at once (joint); heads, then instance (stages.py); YOLOX: regions, memory, whole; "
        "SipMask: detector, memory, instance, joint; or the released stages",
    )
    augment: Literal["strong", "flip"] = setting(
        "strong", "flip: nothing but mirroring, half of the pairs (released)"
    )
    iterations: int = setting(90_000, "optimiser steps", low=0)
    batch: int = setting(16, "clips per step over all processes; the learning rate is for this many", low=1)
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
    clip_frames: int = setting(
        2,
        "T, frames of a training clip: the key, the reference, and frames before it that leave memories",
        low=2,
        high=33,
    )
    clip_gradients: int = setting(
        2, "newest of them whose features learn; of older ones the memory alone does", low=2
    )
    crop_height: int = setting(736, "of a training image", unit="pixels", low=1)
    crop_width: int = setting(1280, "of a training image", unit="pixels", low=1)
    rpn_samples: int = setting(256, "anchors per image in the loss", low=1)
    roi_samples: int = setting(512, "proposals per image in the loss", low=1)
    roi_positives: float = share(0.25, "largest share of positives among them")
    mask_samples: int = setting(0, "of these positives, how many per image teach masks; 0: all", low=0)
