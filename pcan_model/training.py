"""The training pass: pairs of key and reference frames to losses, end to end (PCAN sec. 4.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pcan_model.detector import with_p6
from pcan_model.heads import choose, pool_regions_once
from pcan_model.losses import Losses, cosine_regression, products, quasi_dense
from pcan_model.network import PCAN
from pcan_model.regions import Regions, box_losses, draw_regions, first_positives, gather, proposal_losses
from pcan_model.targets import Truth, mask_targets


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
        classes, boxes = box_losses(self.net.box_head, features, regions, truths)
        shown = regions.take(gather(truths, "outlined", regions))
        shown = shown.take(first_positives(shown, self.net.config.train.mask_samples))
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
        losses = proposal_losses(*every, truths, train.rpn_samples)
        return draw_regions(list(boxes.float()), truths, train), *losses

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
        initial = choose(net.mask_head(features), gather(truths, "labels", regions)).float()
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
        ids = gather(truths, "ids", regions)
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
        ids = gather(truths, "ids", regions, fallback=-1)
        contrast, auxiliary = [embeds.sum() * 0], [embeds.sum() * 0]
        for pair in range(pairs):
            key, other = regions.picture == pair, regions.picture == pair + pairs
            same = ids[key][:, None] == ids[other][None]
            if same.any():
                contrast.append(quasi_dense(products(embeds[key], embeds[other]), same))
                auxiliary.append(cosine_regression(products(unit[key], unit[other]), same))
        weight = self.net.config.train.embedding_weight
        return weight * torch.stack(contrast).sum() / pairs, torch.stack(auxiliary).sum() / pairs
