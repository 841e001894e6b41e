"""The training stages of a fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pcan_model.core.config import Config, ConfigError
from pcan_model.core.train_config import Stage, TrainConfig
from pcan_model.finetune.options import FinetuneOptions

RATES = {"yolox": 4e-4, "mask_rcnn": 2e-4}  # of all but the detector's trunk
TRUNK = {"yolox": 0.05, "mask_rcnn": 0.1}  # relative rate of the detector, which few images could spoil
CLASS_RATE = 2e-3  # of the rows of new classes, which begin as copies
WHOLE: dict[str, Stage] = {"yolox": "whole", "mask_rcnn": "joint"}  # stage that trains everything


def recipe(config: Config, new: Sequence[str], options: FinetuneOptions) -> list[Config]:
    """Return the configuration of every stage: new classes of the one-stage detector first, then all.

    Raises ConfigError for a variant or detector without a recipe.
    """
    if config.variant != "paper" or config.detector not in WHOLE:
        expected = f"variant paper and detector {' or '.join(WHOLE)}"
        raise ConfigError(f"{config.name}: expected {expected}; got {config.variant}, {config.detector}")
    whole = _whole(config, options)
    if not new or config.detector != "yolox":
        return [replace(config, train=whole)]
    rows = replace(
        whole, stage="classes", new_classes=tuple(new), iterations=max(1, options.steps // 2),
        learning_rate=CLASS_RATE, backbone_rate=1.0, weight_decay=0.0,
    )  # fmt: skip
    return [replace(config, train=rows), replace(config, train=whole)]


def _whole(config: Config, options: FinetuneOptions) -> TrainConfig:
    height, width = options.crop or (config.train.crop_height, config.train.crop_width)
    return replace(
        config.train,
        stage=WHOLE[config.detector],
        new_classes=(),
        iterations=options.steps,
        batch=4,
        optimizer="adamw",
        learning_rate=RATES[config.detector] if options.rate is None else options.rate,
        backbone_rate=TRUNK[config.detector],
        weight_decay=0.02,
        warmup=max(1, options.steps // 10),
        schedule="cosine",
        gradient_clip=5.0,
        average=0.98,
        mixed_precision=False,
        crop_height=height,
        crop_width=width,
    )
