"""Positive cells whose predicted box has an area, which have mask and match losses."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pcan_model.sipmask.masks import STRIDE
from pcan_model.sipmask.targets import CellTargets

SMALLEST = 1.0  # area from which a predicted box counts, pixels of the basis


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """R positive cells of one image whose predicted box has an area; R may be 0."""

    cells: Tensor  # (R,) in order
    objects: Tensor  # (R,) row of the object that each learns
    boxes: Tensor  # (R, 4) predicted, without gradient, pixels of the network input

    @property
    def basis_boxes(self) -> Tensor:
        """Return the boxes in pixels of the basis."""
        return self.boxes / STRIDE


def keep(boxes: Tensor, targets: CellTargets) -> Kept:
    """Choose the positives of one image whose predicted boxes (P, 4) hold more than one basis pixel."""
    cells = targets.positive
    predicted = boxes[cells].detach()
    sides = (predicted[:, 2:] - predicted[:, :2]) / STRIDE
    large = sides.prod(1) > SMALLEST
    return Kept(cells[large], targets.index[cells[large]], predicted[large])
