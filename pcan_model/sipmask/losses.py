"""The training losses of SipMask-VIS for a batch of key and reference images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pcan_model.core.sipmask_config import SipMaskConfig
from pcan_model.model.prototypes import at_least_float32, full_precision
from pcan_model.sipmask.detection_losses import box_loss, centre_loss, class_loss
from pcan_model.sipmask.flat_maps import FlatMaps, flatten
from pcan_model.sipmask.head import HeadMaps
from pcan_model.sipmask.mask_loss import mask_loss, mask_targets, mask_weights, predict_masks
from pcan_model.sipmask.match_loss import match_logits, move, reference_columns
from pcan_model.sipmask.positives import Kept, keep
from pcan_model.sipmask.targets import CellTargets, ImageCells, assign, image_cells
from pcan_model.training.losses import LossParts
from pcan_model.training.targets import GroundTruth


@dataclass(frozen=True, slots=True, eq=False)
class SipMaskLosses(LossParts):
    """Losses of SipMask and of PCAN on it."""

    classes: Tensor
    boxes: Tensor
    centres: Tensor
    masks: Tensor
    match: Tensor
    refined: Tensor  # final masks of the instance module; 0 of the detector alone


@dataclass(frozen=True, slots=True, eq=False)
class Assigned:
    """A batch with assigned cells."""

    flat: FlatMaps
    cells: ImageCells
    targets: list[CellTargets]  # of each image
    kept: list[Kept]  # positives of each image whose predicted box has an area


def assign_batch(maps: HeadMaps, targets: Sequence[GroundTruth], config: SipMaskConfig) -> Assigned:
    """Assign the cells of all key images; raises ValueError as the public code does when asked to."""
    if config.reference:
        refuse_empty(targets)
    flat, sizes = flatten(maps), [(x.shape[2], x.shape[3]) for x in maps.logits]
    cells = image_cells(sizes, config, maps.basis.device)
    assigned = [assign(cells, target.boxes, target.labels, config) for target in targets]
    kept = [keep(*both) for both in zip(flat.boxes(cells.points), assigned, strict=True)]
    if config.reference and not any(len(k.cells) for k in kept):
        raise ZeroDivisionError("no predicted box has an area, which the public code divides by")
    return Assigned(flat, cells, assigned, kept)


def refuse_empty(targets: Sequence[GroundTruth]) -> None:
    """Raise ValueError for an image without objects, as the public code does."""
    for number, target in enumerate(targets):
        if not len(target.boxes):
            raise ValueError(f"image {number}: expected objects, got none, which the public code cannot read")


@full_precision
def losses(
    maps: HeadMaps,
    reference: Tensor,
    targets: Sequence[GroundTruth],
    reference_truths: Sequence[GroundTruth],
    config: SipMaskConfig,
    *,
    jitters: Sequence[Tensor] | None = None,
) -> SipMaskLosses:
    """Compute all losses, in float32 or higher whatever the dtype of the maps, also under autocast.

    maps              of B key images
    reference         (B, E, h, w) tracking map of their reference images
    truths            of the key images; images may be without objects
    reference_truths  of the reference images; only boxes and ids are read
    jitters           (G, 4) per reference image instead of random ones
    """
    reference = at_least_float32(reference)
    batch = assign_batch(maps, targets, config)
    labels = torch.cat([t.labels for t in batch.targets])
    counted = torch.cat([not_ignored(batch.cells, target) for target in targets])
    every = batch.flat.logits.flatten(0, 1)
    positive = [(t.positive, t) for t in batch.targets]
    points = torch.cat([batch.cells.points[p] for p, _ in positive])
    goal = torch.cat([t.distances[p] for p, t in positive])
    distances, centres = (
        torch.cat([x[i, p] for i, (p, _) in enumerate(positive)])
        for x in (batch.flat.distances, batch.flat.centres)
    )
    jitters = jitters or [random_jitter(target.boxes, config.jitter) for target in reference_truths]
    return SipMaskLosses(
        class_loss(every, labels, counted, len(targets), config),
        box_loss(points, distances, goal),
        centre_loss(centres, goal),
        all_mask_losses(maps, batch, targets),
        all_match_losses(maps.track, reference, batch, targets, reference_truths, jitters, config.reference),
        every.new_zeros(()),
    )


def all_mask_losses(maps: HeadMaps, batch: Assigned, targets: Sequence[GroundTruth]) -> Tensor:
    """Return the mean over images of their mask losses; objects without an outline are left out."""
    parts = []
    for image, (kept, target) in enumerate(zip(batch.kept, targets, strict=True)):
        drawn = target.outlined[kept.objects]
        kept = Kept(kept.cells[drawn], kept.objects[drawn], kept.boxes[drawn])
        logits, coefficients = batch.flat.logits[image], batch.flat.coefficients[image]
        weights = mask_weights(kept, target.boxes, logits, target.labels)
        predicted = predict_masks(maps.basis[image], coefficients, kept)
        parts.append(mask_loss(predicted, mask_targets(target.masks, kept), kept.basis_boxes, weights))
    return torch.stack(parts).sum() / len(targets)


def all_match_losses(
    track: Tensor,
    reference: Tensor,
    batch: Assigned,
    targets: Sequence[GroundTruth],
    reference_truths: Sequence[GroundTruth],
    jitters: Sequence[Tensor],
    as_reference: bool,
) -> Tensor:
    """Return the mean over images of the cross-entropy of their positives' matches."""
    parts = []
    for image, kept in enumerate(batch.kept):
        moved = move(reference_truths[image].boxes, jitters[image])
        logits = match_logits(track[image], reference[image], kept.boxes, moved, as_reference=as_reference)
        columns = reference_columns(targets[image].ids, reference_truths[image].ids)[kept.objects]
        parts.append(functional.cross_entropy(logits, columns, reduction="sum") / max(len(columns), 1))
    return torch.stack(parts).sum() / len(targets)


def not_ignored(cells: ImageCells, target: GroundTruth) -> Tensor:
    """Return a mask of cells (P,) outside the ignore region."""
    height, width = target.ignore.shape
    x, y = cells.points.long().unbind(1)
    hidden = target.ignore[y.clamp(0, height - 1), x.clamp(0, width - 1)]
    return ~(hidden & (y < height) & (x < width))


def random_jitter(boxes: Tensor, most: float) -> Tensor:
    """Sample jitters (G, 4) in [-most, most] for boxes (G, 4)."""
    return (torch.rand_like(boxes) * 2 - 1) * most
