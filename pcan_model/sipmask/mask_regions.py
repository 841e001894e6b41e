"""Training regions of the instance attention: detected objects in each frame of a clip."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pcan_model.model.roi_pooling import pool_by_level
from pcan_model.sipmask.boxes import overlap
from pcan_model.sipmask.flat_maps import FlatMaps, flatten
from pcan_model.sipmask.head import HeadMaps
from pcan_model.sipmask.pcan import SipMaskPCAN
from pcan_model.sipmask.targets import BACKGROUND, assign, image_cells
from pcan_model.training.mask_losses import MaskRegions
from pcan_model.training.targets import GroundTruth, mask_targets

GOOD = 0.5  # overlap from which a predicted box stands for its object; else the true box does


@dataclass(frozen=True, slots=True, eq=False)
class FoundObjects:
    """R objects of one image, each at its assigned cell of highest score."""

    rows: Tensor  # (R,) row of the object in its image
    boxes: Tensor  # (R, 4) predicted or true, without gradient, pixels
    initial: Tensor  # (R, 2S, 2S) logits of the initial masks


def found_objects(net: SipMaskPCAN, maps: HeadMaps, targets: list[GroundTruth]) -> list[FoundObjects]:
    """Return the objects with masks in each image of a batch."""
    flat, config = flatten(maps), net.config.sipmask
    cells = image_cells([(x.shape[2], x.shape[3]) for x in maps.logits], config, maps.basis.device)
    predicted = flat.boxes(cells.points).detach()
    found = []
    for image, target in enumerate(targets):
        index = assign(cells, target.boxes, target.labels, config).index
        surest = surest_cells(index, flat, image, target)
        rows = (target.outlined & (surest >= 0)).nonzero()[:, 0]
        rows = rows[: net.config.train.mask_samples or None]
        own, true = predicted[image, surest[rows]], target.boxes[rows]
        boxes = torch.where((overlap(own, true, extra=1) > GOOD)[:, None], own, true)
        coefficients = flat.coefficients[image, surest[rows]]
        found.append(FoundObjects(rows, boxes, net.masks_of(maps.basis[image], coefficients, boxes)))
    return found


def surest_cells(index: Tensor, flat: FlatMaps, image: int, target: GroundTruth) -> Tensor:
    """Return for each object (G,) the cell assigned to it with the highest score, or BACKGROUND."""
    scores = flat.scores()[image].detach().T[target.labels]  # (G, P)
    own = index == torch.arange(len(target.labels), device=index.device)[:, None]
    best, cell = scores.masked_fill(~own, -1.0).max(1)
    return torch.where(best >= 0, cell, BACKGROUND)


def clip_regions(
    net: SipMaskPCAN, levels: list[Tensor], found: list[FoundObjects], targets: list[GroundTruth]
) -> MaskRegions:
    """Pool the objects of all images of B clips.

    levels  P3 to P7 of all images, memories read
    """
    heads, boxes = net.config.heads, torch.cat([own.boxes for own in found])
    counts = torch.tensor([len(own.rows) for own in found])
    image = torch.arange(len(found)).repeat_interleave(counts).to(boxes.device)
    where = net.region_levels(levels), net.region_boxes(boxes), image
    goals = [
        mask_targets(target.masks, own.boxes, own.rows, 2 * heads.mask_size)
        for target, own in zip(targets, found, strict=True)
    ]
    ids = [target.ids[own.rows] for target, own in zip(targets, found, strict=True)]
    return MaskRegions(
        features=pool_by_level(*where, heads.mask_size).float(),
        initial=torch.cat([own.initial for own in found]).float(),
        target=torch.cat(goals),
        image_index=image,
        ids=torch.cat(ids),
        clips=len(targets) // net.config.train.clip_frames,
    )
