"""Detections of one image in static shape, and their selection from candidates."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from torch import Tensor

from pcan_model.core.config import Config
from pcan_model.model.boxes import suppress

Row = TypeVar("Row", bound="Found")


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """D detections by descending score, padded with score 0."""

    boxes: Tensor  # (D, 4) x1 y1 x2 y2, pixels of the network input
    scores: Tensor  # (D,)
    labels: Tensor  # (D,)
    converged: Tensor  # () bool, whether the suppression had converged

    @property
    def mask_source(self) -> Tensor:
        """Return the input (D, ...) of `Detector.initial_masks` beside RoI features: the labels."""
        return self.labels

    def take(self: Row, rows: Tensor) -> Row:
        """Return the chosen detections."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _rows(self)})


def join(parts: list[Row]) -> Row:
    """Concatenate the detections of several images."""
    first = parts[0]
    joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in _rows(first)}
    return replace(first, **joined, converged=torch.stack([part.converged for part in parts]).all())


def _rows(found: Found) -> list[str]:
    return [field.name for field in fields(found) if field.name != "converged"]


def best_of(boxes: Tensor, scores: Tensor, labels: Tensor, config: Config) -> tuple[Found, Tensor]:
    """Apply class-wise NMS to candidates and keep the best D.

    boxes    (N, 4), scores (N,) falling, labels (N,); N >= D
    returns  the detections, and (D,) which candidate each is
    """
    heads, steps = config.heads, config.proposals.nms_steps
    keep, converged = suppress(boxes[None], labels[None], heads.nms_iou, steps)
    best, order = (scores * keep[0]).topk(heads.detections)
    best = best * (best > heads.score_threshold)
    return Found(boxes[order], best, labels[order], converged), order
