"""Head outputs as rows, one per cell."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pcan_model.sipmask.boxes import boxes_around
from pcan_model.sipmask.head import HeadMaps


@dataclass(frozen=True, slots=True, eq=False)
class FlatMaps:
    """Head outputs of B images as rows, P cells each, level by level."""

    logits: Tensor  # (B, P, classes)
    distances: Tensor  # (B, P, 4) pixels
    centres: Tensor  # (B, P) logits
    coefficients: Tensor  # (B, P, 4 * basis)

    def scores(self) -> Tensor:
        """Return class times centre-ness, (B, P, classes)."""
        return self.logits.sigmoid() * self.centres.sigmoid()[..., None]

    def boxes(self, points: Tensor) -> Tensor:
        """Return the predicted boxes (B, P, 4) around points (P, 2), pixels, not cut to the image."""
        return boxes_around(points, self.distances)


def flatten(maps: HeadMaps) -> FlatMaps:
    """Join the levels."""

    def rows(levels: list[Tensor]) -> Tensor:
        return torch.cat([level.flatten(2).mT for level in levels], 1)

    centres = rows(maps.centres)[..., 0]
    return FlatMaps(rows(maps.logits), rows(maps.distances), centres, rows(maps.coefficients))
