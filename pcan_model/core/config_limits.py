"""What the values of a configuration may be, each alone and together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pcan_model.core.config import Config

FORMS = ("paper", "released")
CHOICES = {
    ("input", "fit"): ("letterbox", "resize"),
    ("backbone", "kind"): ("resnet50", "mobilenet_v2"),
    ("frame_attention", "kind"): ("prototypical", "non_local", "transformer"),
    ("instance_attention", "propagation"): ("none", "initial", "momentum"),
    ("tracker", "similarity"): ("bisoftmax", "softmax", "cosine"),
    ("tracker", "match_classes"): ("same", "any"),
    ("tracker", "association"): ("quasi_dense", "sort_iou"),
    ("train", "optimizer"): ("sgd", "adamw"),
    ("train", "schedule"): ("step", "cosine"),
    ("train", "stage"): ("joint", "heads", "instance", "detector", "masks", "refinement"),
    ("train", "augment"): ("strong", "flip"),
}

LIMITS: dict[tuple[str, str], tuple[float, float]] = {
    ("frame_attention", "memory_frames"): (1, 32),
    ("frame_attention", "memory_interval"): (1, 10_000),
    ("frame_attention", "prototypes"): (1, 4096),
    ("frame_attention", "em_steps"): (1, 100),
    ("frame_attention", "heads"): (1, 64),
    ("frame_attention", "layers"): (1, 64),
    ("instance_attention", "foreground"): (0, 4096),
    ("instance_attention", "background"): (0, 4096),
    ("instance_attention", "em_steps"): (1, 100),
    ("instance_attention", "update_rate"): (0.0, 1.0),
}


def faults(config: Config) -> Iterator[str]:
    """Say of each value that does not fit: key, expected and got."""
    step = 32 if config.input.fit == "letterbox" else 1
    for side in ("height", "width"):
        value = getattr(config.input, side)
        if value <= 0 or value % step:
            yield f"input.{side}: expected a multiple of {step}, got {value}"
    if config.form not in FORMS:
        yield f"form: expected one of {FORMS}, got {config.form!r}"
    for (part, key), known in CHOICES.items():
        value = getattr(getattr(config, part), key)
        if value not in known:
            yield f"{part}.{key}: expected one of {known}, got {value!r}"
    for (part, key), (low, high) in LIMITS.items():
        value = getattr(getattr(config, part), key)
        if not low <= value <= high:
            yield f"{part}.{key}: expected {low} to {high}, got {value}"
    frame, rows, found = config.frame_attention, config.tracker.capacity, config.heads.detections
    if frame.kind == "transformer" and frame.value_channels % frame.heads:
        expected = f"a divisor of value_channels ({frame.value_channels})"
        yield f"frame_attention.heads: expected {expected}, got {frame.heads}"
    if rows < found:
        yield f"tracker.capacity: expected at least heads.detections ({found}), got {rows}"
