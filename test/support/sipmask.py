"""Where the recorded SipMask numbers are, and a SipMask small enough for quick tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from support.shared import PARITY, present

from pcan_model.core.config import BackboneConfig, Config
from pcan_model.core.sipmask_config import SipMaskConfig
from pcan_model.sipmask.network import SipMask
from pcan_model.sipmask.parity.public import PUBLIC
from pcan_model.training.targets import GroundTruth

SIPMASK = PARITY / "sipmask"
SMALL = replace(
    PUBLIC,
    name="small_sipmask",
    classes=("car", "person", "dog"),
    backbone=BackboneConfig(kind="mobilenet_v2", channels=16, frozen=0),
    sipmask=SipMaskConfig(norm_groups=4, alignment_groups=2, basis=8, hidden=32, embedding=16),
)


def recorded_file(name: str) -> Path:
    """Return a recorded file, such as unit/nms.npz, or skip the test."""
    return present(SIPMASK / name)


def small_sipmask_config(base: Config = SMALL, **parts: object) -> Config:
    """Return the small configuration with some parts, or some of their fields, changed."""
    changed = {k: replace(getattr(base, k), **v) if isinstance(v, dict) else v for k, v in parts.items()}
    return replace(base, **changed)  # type: ignore[arg-type]


def small_sipmask(seed: int = 0, **parts: object) -> SipMask:
    """Return a small network of random weights."""
    torch.manual_seed(seed)
    return SipMask(small_sipmask_config(**parts))


def target(boxes: list[list[float]], size: tuple[int, int], ids: list[int] | None = None) -> GroundTruth:
    """Return an image of `size` (height, width) with filled boxes as objects, of classes 0, 1, 2, 0, …"""
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[int(y1) : int(y2) + 1, int(x1) : int(x2) + 1] = True
    return GroundTruth(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.arange(len(boxes)) % 3,
        torch.tensor(list(range(len(boxes))) if ids is None else ids, dtype=torch.int64),
        masks,
        torch.zeros(size, dtype=torch.bool),
    )


def random_boxes(count: int, seed: int, size: float = 100) -> NDArray[np.float32]:
    """Return boxes (count, 4) with random corners, some of them inverted or without area."""
    random = np.random.default_rng(seed)
    corners = random.uniform(0, size, (count, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1).astype(np.float32)
    boxes[::11] = boxes[::11, [2, 3, 0, 1]]
    boxes[::13, 2:] = boxes[::13, :2]
    return boxes
