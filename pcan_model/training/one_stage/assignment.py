"""Assign cells to objects: SimOTA (YOLOX, sec. 2)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from pcan_model.model.boxes import overlaps
from pcan_model.one_stage.cells import Cells, decode_cells
from pcan_model.training.targets import BACKGROUND, UNUSED, GroundTruth, ignored_share

CENTRE = 2.5  # strides along each axis; a cell this near to an object's centre may be assigned to it
SHARERS = 10  # best overlaps of an object that determine its number of cells
BOX_WEIGHT = 3.0  # weight of the overlap relative to the class in the cost of a pair
FAR = 1e5  # cost of a cell that is not both inside the box and near its centre


@torch.no_grad()
def assign_cells(
    cells: Cells, places: Tensor, target: GroundTruth, image_index: int
) -> tuple[Tensor, Tensor]:
    """Assign the cells of one image to objects.

    cells        outputs of the detector for all images
    places       (A, 3)  column, row and stride, see `grid`
    image_index  index of the image in `cells`
    returns      (A,) index of the object, BACKGROUND, or UNUSED in ignored regions; (A,) IoU with it, or 0
    """
    boxes = decode_cells(cells.offsets[image_index].float(), places)
    found = torch.full((len(places),), BACKGROUND, device=places.device)
    overlap = torch.zeros(len(places), device=places.device)
    if len(target.boxes):
        inside, centred = _reach(places, target.boxes)
        near = (inside | centred).any(1).nonzero()[:, 0]
        iou = overlaps(boxes[near], target.boxes)  # (C, N)
        cost = _class_cost(cells, near, target, image_index) - BOX_WEIGHT * (iou + 1e-8).log()
        cost = cost + FAR * ~(inside[near] & centred[near])
        chosen, index = _choose(cost, iou)
        found[near[chosen]] = index
        overlap[near[chosen]] = iou[chosen, index]
    outside = (found == BACKGROUND) & (ignored_share(boxes, target.ignore) > 0.5)
    return torch.where(outside, UNUSED, found), overlap


def _reach(places: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return whether each cell centre is inside each box, and whether it is near the box centre, (A, N)."""
    middle = (places[:, :2] + 0.5) * places[:, 2:]
    inside = (middle[:, None] > boxes[None, :, :2]) & (middle[:, None] < boxes[None, :, 2:])
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    near = (middle[:, None] - centre[None]).abs() < CENTRE * places[:, None, 2:]
    return inside.all(-1), near.all(-1)


def _class_cost(cells: Cells, near: Tensor, target: GroundTruth, image_index: int) -> Tensor:
    """Cross-entropy of the class scores with each object's class, (C, N)."""
    classes, objectness = (
        cells.classes[image_index, near].float(),
        cells.objectness[image_index, near].float(),
    )
    scores = (classes.sigmoid() * objectness.sigmoid()[:, None]).sqrt().clamp(1e-6, 1 - 1e-6)  # (C, K)
    hit, miss = -scores.log(), -(1 - scores).log()
    return (miss.sum(1, keepdim=True) - miss + hit)[:, target.labels]


def _choose(cost: Tensor, iou: Tensor) -> tuple[Tensor, Tensor]:
    """Assign to each object its cells of lowest cost, as many as the sum of its best IoUs.

    cost, iou  (C, N)
    returns    rows (P,) of the chosen cells, and (P,) the object of each
    """
    best = iou.topk(min(SHARERS, len(iou)), 0).values.sum(0).int().clamp_min(1)
    taken = torch.zeros_like(cost, dtype=torch.bool)
    for n, count in enumerate(best.tolist()):
        taken[cost[:, n].topk(min(count, len(cost)), largest=False).indices, n] = True
    several = taken.sum(1) > 1
    cheapest = functional.one_hot(cost.argmin(1), cost.shape[1]).bool()
    taken = torch.where(several[:, None], cheapest & several[:, None], taken)
    rows = taken.any(1).nonzero()[:, 0]
    return rows, taken[rows].int().argmax(1)
