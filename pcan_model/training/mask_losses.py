"""Training regions of the instance attention: initial masks, and their refinement in order of time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pcan_model.model.detector import Detector
from pcan_model.model.heads import choose
from pcan_model.model.instance_attention import InstanceAttention
from pcan_model.model.roi_pooling import pool_by_level
from pcan_model.training.roi_sampling import SampledRegions, gather
from pcan_model.training.targets import GroundTruth, mask_targets


@dataclass(frozen=True, slots=True, eq=False)
class MaskRegions:
    """R regions of B clips on objects with masks, ordered by image, the keys' first; R may be 0."""

    features: Tensor  # (R, C, S, S) float32
    initial: Tensor  # (R, 2S, 2S) logits of the initial masks
    target: Tensor  # (R, 2S, 2S) 0 or 1
    image_index: Tensor  # (R,) index of the image, 0 to T * B - 1: frame by frame, the newest first
    ids: Tensor  # (R,) identity of the object
    clips: int  # B

    def __len__(self) -> int:
        return len(self.image_index)


def mask_regions(
    net: Detector, levels: list[Tensor], regions: SampledRegions, targets: list[GroundTruth]
) -> MaskRegions:
    """Return RoI features and initial masks of positive regions."""
    cells = net.config.heads.mask_size
    features = pool_by_level(levels, regions.boxes, regions.image_index, cells).float()
    initial = choose(net.mask_head(features), gather(targets, "labels", regions)).float()
    image_index = [regions.image_index == i for i in range(len(targets))]
    goals = [
        mask_targets(target.masks, regions.boxes[own], regions.found[own], 2 * cells)
        for target, own in zip(targets, image_index, strict=True)
    ]
    ids, clips = gather(targets, "ids", regions), len(targets) // net.config.train.clip_frames
    return MaskRegions(features, initial, torch.cat(goals), regions.image_index, ids, clips)


def mask_loss(logits: Tensor, regions: MaskRegions) -> Tensor:
    """Mean binary cross-entropy of mask logits (R, 2S, 2S); 0 without any."""
    if not len(regions):
        return logits.sum()
    return functional.binary_cross_entropy_with_logits(logits, regions.target)


def refine(attention: InstanceAttention, regions: MaskRegions) -> Tensor:
    """Refine masks frame by frame, oldest first, carrying the prototypes of each object: logits (R, 2S, 2S).

    A region goes on from the newest older region of the same object; where there is none it is fresh.
    """
    age, clip = regions.image_index // regions.clips, regions.image_index % regions.clips
    known = torch.zeros(0, dtype=torch.long, device=age.device)  # rows refined so far, newest frame first
    bank = torch.zeros(1, *attention.mu.shape, device=age.device)  # of these; the last is of no object
    masks = []
    for frame in range(int(age[-1]), -1, -1):
        own = (age == frame).nonzero()[:, 0]
        same = regions.ids[own, None] == regions.ids[known]
        same &= clip[own, None] == clip[known]
        fresh = ~same.any(1)
        partner = same.int().argmax(1) if len(known) else torch.zeros_like(own)
        refined, after = attention(regions.features[own], regions.initial[own], bank[partner], fresh)
        masks.append(refined)
        known, bank = torch.cat([own, known]), torch.cat([after, bank])
    return torch.cat(masks[::-1])
