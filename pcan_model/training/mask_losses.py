"""What the instance module is taught on: regions with initial masks, and the refinement of them."""

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
    """R regions of B pairs that show objects of known outline, by image, the keys' first; R may be 0."""

    features: Tensor  # (R, C, S, S) float32
    initial: Tensor  # (R, 2S, 2S) logits of the initial masks
    target: Tensor  # (R, 2S, 2S) 0 or 1
    image_index: Tensor  # (R,) index of the image, 0 to 2B - 1
    ids: Tensor  # (R,) identity of the object
    pairs: int  # B

    def __len__(self) -> int:
        return len(self.image_index)


def mask_regions(
    net: Detector, levels: list[Tensor], regions: SampledRegions, targets: list[GroundTruth]
) -> MaskRegions:
    """Pool regions that show an object, and let the mask head say what it sees there."""
    cells = net.config.heads.mask_size
    features = pool_by_level(levels, regions.boxes, regions.image_index, cells).float()
    initial = choose(net.mask_head(features), gather(targets, "labels", regions)).float()
    image_index = [regions.image_index == i for i in range(len(targets))]
    goals = [
        mask_targets(target.masks, regions.boxes[own], regions.found[own], 2 * cells)
        for target, own in zip(targets, image_index, strict=True)
    ]
    ids = gather(targets, "ids", regions)
    return MaskRegions(features, initial, torch.cat(goals), regions.image_index, ids, len(targets) // 2)


def mask_loss(logits: Tensor, regions: MaskRegions) -> Tensor:
    """Mean binary cross-entropy of mask logits (R, 2S, 2S); 0 without any."""
    if not len(regions):
        return logits.sum()
    return functional.binary_cross_entropy_with_logits(logits, regions.target)


def refine(attention: InstanceAttention, regions: MaskRegions) -> Tensor:
    """Refine references from nothing, then keys from their references' prototypes: logits (R, 2S, 2S)."""
    features, initial, ids = regions.features, regions.initial, regions.ids
    split = int((regions.image_index < regions.pairs).sum())
    bank = torch.zeros(1, *attention.mu.shape, device=features.device)
    masks_r, bank_r = attention(features[split:], initial[split:], bank, torch.ones_like(ids[split:]))
    same = ids[:split, None] == ids[None, split:]
    same &= regions.image_index[:split, None] + regions.pairs == regions.image_index[None, split:]
    partner = same.int().argmax(1) if same.shape[1] else torch.zeros_like(ids[:split])
    fresh = ~same.any(1)
    old = bank_r[partner] if len(bank_r) else bank.expand(split, -1, -1)
    masks_k, _ = attention(features[:split], initial[:split], old, fresh)
    return torch.cat([masks_k, masks_r])
