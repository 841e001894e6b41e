"""The training pass: pairs of key and reference frames to losses, end to end (PCAN sec. 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pcan_model.boxes import encode
from pcan_model.detector import with_p6
from pcan_model.heads import STD as BOX_STD
from pcan_model.heads import choose, pool_regions_once
from pcan_model.losses import Losses, cosine_regression, products, quasi_dense, smooth_l1
from pcan_model.network import PCAN
from pcan_model.proposals import STD as PROPOSAL_STD
from pcan_model.targets import Truth, mask_targets, match, sample


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Regions of interest drawn for the losses of all pictures, R in all."""

    boxes: Tensor  # (R, 4) pixels
    picture: Tensor  # (R,) index of the picture
    found: Tensor  # (R,) index of the object in its picture, or BACKGROUND

    def take(self, index: Tensor) -> Regions:
        """Return the chosen regions (indices or a boolean mask), in their order."""
        return Regions(self.boxes[index], self.picture[index], self.found[index])


def first_positives(regions: Regions, count: int) -> Tensor:
    """Mark the first `count` regions of each picture that show an object, (R,) bool; 0 marks all of them.

    Regions were drawn at random, so the first are as good as any.
    """
    positive = regions.found >= 0
    if not count:
        return positive
    same = regions.picture[:, None] == regions.picture[None]
    rank = (same & positive[None]).tril().sum(1)  # positives of the picture up to and with this region
    return positive & (rank <= count)


class TrainingPass(nn.Module):
    """Wraps the network so that one forward call gives the losses (what DistributedDataParallel needs)."""

    def __init__(self, net: PCAN) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor, truths: list[Truth]) -> Losses:
        """Compute all losses of B pairs.

        images  (2B, H, W, 3) uint8 RGB, the B keys before the B references
        truths  what each shows
        """
        levels = self._read_references(self.net.features(images))
        regions, objectness, proposals = self._propose(levels, truths)
        features = pool_regions_once(levels, regions.boxes, regions.picture, self.net.config.heads.box_size)
        classes, boxes = self._box_losses(features, regions, truths)
        shown = regions.take(first_positives(regions, self.net.config.train.mask_samples))
        masks, refined = self._mask_losses(levels, shown, truths)
        embedding, auxiliary = self._embedding_losses(features, regions, truths)
        return Losses(objectness, proposals, classes, boxes, masks, embedding, auxiliary, refined)

    def _read_references(self, levels: list[Tensor]) -> list[Tensor]:
        """Let each key read the prototypes of its reference; references read nothing."""
        pairs = len(levels[0]) // 2
        reads = torch.rand(pairs, 1, device=levels[0].device) < self.net.config.train.memory_share
        valid = torch.cat([reads, torch.zeros_like(reads)]).float()
        for level, module in self.net.attended():
            keys, values = module.encode(levels[level])
            mu, v_mu = (x[:, None].repeat(2, 1, 1, 1) for x in module.condense(keys[pairs:], values[pairs:]))
            levels[level] = module(levels[level], keys, values, mu, v_mu, valid)
        return levels

    def _propose(self, levels: list[Tensor], truths: list[Truth]) -> tuple[Regions, Tensor, Tensor]:
        """Return the drawn regions and the two proposal losses."""
        head, train = self.net.proposals, self.net.config.train
        pyramid = with_p6(levels)
        logits, offsets = head(pyramid)
        anchors = head.anchors(pyramid)
        size = (4 * levels[0].shape[-2], 4 * levels[0].shape[-1])
        with torch.no_grad():
            boxes, _ = head.propose(logits, offsets, anchors, size, train.proposals)
        every = torch.cat(logits, 1), torch.cat(offsets, 1), torch.cat(anchors)
        losses = self._proposal_losses(*every, truths)
        drawn = [
            self._draw(own.float(), truth, i, train.roi_samples)
            for i, (own, truth) in enumerate(zip(boxes, truths, strict=True))
        ]
        parts = [torch.cat([getattr(r, name) for r in drawn]) for name in ("boxes", "picture", "found")]
        return Regions(*parts), *losses

    def _draw(self, proposals: Tensor, truth: Truth, picture: int, count: int) -> Regions:
        """Draw regions of one picture from its proposals and true boxes."""
        boxes = torch.cat([proposals, truth.boxes])
        found = match(boxes, truth, high=0.5, low=0.5, rescue=False)
        index = torch.cat(sample(found, count, self.net.config.train.roi_positives))
        return Regions(boxes[index], torch.full_like(index, picture), found[index])

    def _proposal_losses(
        self, logits: Tensor, offsets: Tensor, anchors: Tensor, truths: list[Truth]
    ) -> tuple[Tensor, Tensor]:
        count = self.net.config.train.rpn_samples
        objectness, boxes = logits.sum() * 0, offsets.sum() * 0
        for own_logits, own_offsets, truth in zip(logits.float(), offsets.float(), truths, strict=True):
            found = match(anchors, truth, high=0.7, low=0.3, rescue=True)
            positive, negative = sample(found, count, 0.5)
            index = torch.cat([positive, negative])
            target = (found[index] >= 0).float()
            objectness = objectness + functional.binary_cross_entropy_with_logits(
                own_logits[index], target, reduction="sum"
            ) / max(len(index), 1)
            goal = encode(truth.boxes[found[positive]], anchors[positive], PROPOSAL_STD)
            boxes = boxes + smooth_l1(own_offsets[positive], goal, 1 / 9) / max(len(index), 1)
        return objectness / len(truths), boxes / len(truths)

    def _box_losses(self, features: Tensor, regions: Regions, truths: list[Truth]) -> tuple[Tensor, Tensor]:
        logits, offsets = self.net.box_head(features)
        labels = _gather(truths, "labels", regions, fallback=logits.shape[1] - 1)
        positive = regions.found >= 0
        goal = encode(_gather(truths, "boxes", regions)[positive], regions.boxes[positive], BOX_STD)
        own = choose(offsets[positive].float(), labels[positive])
        return (
            functional.cross_entropy(logits.float(), labels, reduction="sum") / max(len(labels), 1),
            smooth_l1(own, goal, 1.0) / max(len(labels), 1) + offsets.sum() * 0,
        )

    def _mask_losses(
        self, levels: list[Tensor], regions: Regions, truths: list[Truth]
    ) -> tuple[Tensor, Tensor]:
        """Return the losses of the initial masks and of the masks refined by the reference's prototypes."""
        net, cells = self.net, self.net.config.heads.mask_size
        if not len(regions.boxes):
            unused = [*net.mask_head.parameters(), *net.instance_attention.parameters()]
            nothing = torch.stack([p.sum() * 0 for p in unused]).sum()
            return nothing, nothing
        features = pool_regions_once(levels, regions.boxes, regions.picture, cells).float()
        initial = choose(net.mask_head(features), _gather(truths, "labels", regions)).float()
        picture = [regions.picture == i for i in range(len(truths))]
        goals = [
            mask_targets(truth.masks, regions.boxes[own], regions.found[own], 2 * cells)
            for truth, own in zip(truths, picture, strict=True)
        ]
        target = torch.cat(goals)
        loss = functional.binary_cross_entropy_with_logits
        if not net.config.instance_attention.enabled:
            return loss(initial, target), initial.sum() * 0
        refined = self._refine(features, initial, regions, truths)
        return loss(initial, target), loss(refined, target)

    def _refine(self, features: Tensor, initial: Tensor, regions: Regions, truths: list[Truth]) -> Tensor:
        """Refine references from nothing, then keys from their references' prototypes."""
        attention, pairs = self.net.instance_attention, len(truths) // 2
        split = int((regions.picture < pairs).sum())  # regions are sorted by picture, keys first
        ids = _gather(truths, "ids", regions)
        bank = torch.zeros(1, *attention.mu.shape, device=features.device)
        masks_r, bank_r = attention(features[split:], initial[split:], bank, torch.ones_like(ids[split:]))
        same = ids[:split, None] == ids[None, split:]
        same &= regions.picture[:split, None] + pairs == regions.picture[None, split:]
        partner = same.int().argmax(1) if same.shape[1] else torch.zeros_like(ids[:split])
        fresh = ~same.any(1)
        old = bank_r[partner] if len(bank_r) else bank.expand(split, -1, -1)
        masks_k, _ = attention(features[:split], initial[:split], old, fresh)
        return torch.cat([masks_k, masks_r])

    def _embedding_losses(
        self, features: Tensor, regions: Regions, truths: list[Truth]
    ) -> tuple[Tensor, Tensor]:
        """Contrast each key object with all regions of its reference, per pair; then average."""
        pairs = len(truths) // 2
        used = (regions.found >= 0) | (regions.picture >= pairs)
        regions = regions.take(used)
        embeds = self.net.embedding_head(features[used]).float()
        unit = functional.normalize(embeds, dim=1)
        ids = _gather(truths, "ids", regions, fallback=-1)
        contrast, auxiliary = [embeds.sum() * 0], [embeds.sum() * 0]
        for pair in range(pairs):
            key, other = regions.picture == pair, regions.picture == pair + pairs
            same = ids[key][:, None] == ids[other][None]
            if same.any():
                contrast.append(quasi_dense(products(embeds[key], embeds[other]), same))
                auxiliary.append(cosine_regression(products(unit[key], unit[other]), same))
        weight = self.net.config.train.embedding_weight
        return weight * torch.stack(contrast).sum() / pairs, torch.stack(auxiliary).sum() / pairs


def _gather(truths: list[Truth], name: str, regions: Regions, fallback: int = 0) -> Tensor:
    """Read a field of each region's object; background gets `fallback`."""
    rows = []
    for i, truth in enumerate(truths):
        found = regions.found[regions.picture == i]
        values = getattr(truth, name)
        empty = values.new_full((1, *values.shape[1:]), fallback)
        rows.append(torch.cat([values, empty])[torch.where(found < 0, len(values), found)])
    return torch.cat(rows)
