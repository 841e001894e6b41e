"""Region sampling and detection losses, shared by all training stages."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pcan_model.core.train_config import TrainConfig
from pcan_model.model.boxes import encode
from pcan_model.model.heads import STD as BOX_STD
from pcan_model.model.heads import BoxHead, choose
from pcan_model.model.proposals import STD as PROPOSAL_STD
from pcan_model.training.losses import smooth_l1
from pcan_model.training.targets import GroundTruth, match, sample


@dataclass(frozen=True, slots=True, eq=False)
class SampledRegions:
    """R sampled regions of interest of all images."""

    boxes: Tensor  # (R, 4) pixels
    image_index: Tensor  # (R,) index of the image
    found: Tensor  # (R,) index of the object in its image, or BACKGROUND

    def take(self, index: Tensor) -> SampledRegions:
        """Return the chosen regions (indices or a boolean mask), in their order."""
        return SampledRegions(self.boxes[index], self.image_index[index], self.found[index])


def first_positives(regions: SampledRegions, count: int) -> Tensor:
    """Mark the first `count` regions of each image that show an object, (R,) bool; 0 marks all of them.

    Regions were drawn at random, so the first are as good as any.
    """
    positive = regions.found >= 0
    if not count:
        return positive
    same = regions.image_index[:, None] == regions.image_index[None]
    rank = (same & positive[None]).tril().sum(1)  # positives of the image up to and with this region
    return positive & (rank <= count)


def sample_regions(proposals: list[Tensor], targets: list[GroundTruth], train: TrainConfig) -> SampledRegions:
    """Sample regions of each image from its proposals (P, 4) and ground-truth boxes."""
    drawn = [
        _draw(own, target, i, train) for i, (own, target) in enumerate(zip(proposals, targets, strict=True))
    ]
    return join_regions(drawn)


def join_regions(parts: list[SampledRegions]) -> SampledRegions:
    """Concatenate the regions of several images."""
    return SampledRegions(
        *(torch.cat([getattr(r, name) for r in parts]) for name in ("boxes", "image_index", "found"))
    )


def true_regions(targets: list[GroundTruth], first: int) -> list[SampledRegions]:
    """Return the ground-truth boxes of the images from index `first` on as regions."""
    found = [torch.arange(len(target.boxes), device=target.boxes.device) for target in targets[first:]]
    return [
        SampledRegions(targets[i].boxes, torch.full_like(own, i), own) for i, own in enumerate(found, first)
    ]


def _draw(proposals: Tensor, target: GroundTruth, image_index: int, train: TrainConfig) -> SampledRegions:
    boxes = torch.cat([proposals, target.boxes])
    found = match(boxes, target, high=0.5, low=0.5, rescue=False)
    index = torch.cat(sample(found, train.roi_samples, train.roi_positives))
    return SampledRegions(boxes[index], torch.full_like(index, image_index), found[index])


def proposal_losses(
    logits: Tensor, offsets: Tensor, anchors: Tensor, targets: list[GroundTruth], count: int
) -> tuple[Tensor, Tensor]:
    """Return the losses of objectness and of box offsets.

    logits  (B, A), offsets (B, A, 4), anchors (A, 4)
    count   anchors drawn of each image, at most half of them objects
    """
    objectness, boxes = logits.sum() * 0, offsets.sum() * 0
    for own_logits, own_offsets, target in zip(logits.float(), offsets.float(), targets, strict=True):
        found = match(anchors, target, high=0.7, low=0.3, rescue=True)
        positive, negative = sample(found, count, 0.5)
        index = torch.cat([positive, negative])
        positives = (found[index] >= 0).float()
        objectness = objectness + functional.binary_cross_entropy_with_logits(
            own_logits[index], positives, reduction="sum"
        ) / max(len(index), 1)
        goal = encode(target.boxes[found[positive]], anchors[positive], PROPOSAL_STD)
        boxes = boxes + smooth_l1(own_offsets[positive], goal, 1 / 9) / max(len(index), 1)
    return objectness / len(targets), boxes / len(targets)


def box_losses(
    head: BoxHead, features: Tensor, regions: SampledRegions, targets: list[GroundTruth]
) -> tuple[Tensor, Tensor]:
    """Return the losses of classes and of box offsets, on RoI features (R, C, 7, 7)."""
    logits, offsets = head(features)
    labels = gather(targets, "labels", regions, fallback=logits.shape[1] - 1)
    positive = regions.found >= 0
    goal = encode(gather(targets, "boxes", regions)[positive], regions.boxes[positive], BOX_STD)
    own = choose(offsets[positive].float(), labels[positive])
    return (
        functional.cross_entropy(logits.float(), labels, reduction="sum") / max(len(labels), 1),
        smooth_l1(own, goal, 1.0) / max(len(labels), 1) + offsets.sum() * 0,
    )


def gather(targets: list[GroundTruth], name: str, regions: SampledRegions, fallback: int = 0) -> Tensor:
    """Gather a field of each region's object; `fallback` for background."""
    rows = []
    for i, target in enumerate(targets):
        found = regions.found[regions.image_index == i]
        values = getattr(target, name)
        empty = values.new_full((1, *values.shape[1:]), fallback)
        rows.append(torch.cat([values, empty])[torch.where(found < 0, len(values), found)])
    return torch.cat(rows)
