"""The training pass: pairs of key and reference frames to losses, end to end (PCAN sec. 4.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pcan_model.model.detector import with_p6
from pcan_model.model.instance_attention import NoInstanceAttention
from pcan_model.model.pcan import PCAN
from pcan_model.model.roi_pooling import pool_by_level
from pcan_model.training.losses import Losses, cosine_regression, products, quasi_dense
from pcan_model.training.mask_losses import MaskRegions, mask_loss, mask_regions, refine
from pcan_model.training.roi_sampling import (
    SampledRegions,
    box_losses,
    first_positives,
    gather,
    proposal_losses,
    sample_regions,
)
from pcan_model.training.targets import GroundTruth


class TrainingPass(nn.Module):
    """Wraps the network so that one forward call gives the losses (what DistributedDataParallel needs)."""

    def __init__(self, net: PCAN) -> None:
        super().__init__()
        self.net = net
        self.refines = not isinstance(net.instance_attention, NoInstanceAttention)

    def forward(self, images: Tensor, targets: list[GroundTruth]) -> Losses:
        """Compute all losses of B pairs.

        images  (2B, H, W, 3) uint8 RGB, the B keys before the B references
        truths  what each shows
        """
        levels = self._read_references(self.net.features(images))
        said, boxes = self._propose(levels)
        objectness, proposals = proposal_losses(*said, targets, self.net.config.train.rpn_samples)
        regions = sample_regions(boxes, targets, self.net.config.train)
        features = pool_by_level(levels, regions.boxes, regions.image_index, self.net.config.heads.box_size)
        classes, corners = box_losses(self.net.box_head, features, regions, targets)
        masks, refined = self._mask_losses(levels, self._outlined(regions, targets), targets)
        embedding, auxiliary = self._embedding_losses(features, regions, targets)
        return Losses(objectness, proposals, classes, corners, masks, embedding, auxiliary, refined)

    def _read_references(self, levels: list[Tensor]) -> list[Tensor]:
        """Let each key read the prototypes of its reference; references read nothing."""
        pairs = len(levels[0]) // 2
        reads = torch.rand(pairs, 1, device=levels[0].device) < self.net.config.train.memory_share
        valid = torch.cat([reads, torch.zeros_like(reads)]).float()
        for level, module in self.net.attended():
            keys, values = module.encode(levels[level])
            mu, v_mu = (x[:, None].repeat(2, 1, 1, 1) for x in module.condense(keys[pairs:], values[pairs:]))
            levels[level] = module(levels[level], keys, values, mu, v_mu, valid)
        return self.net.complete(levels)

    def _propose(self, levels: list[Tensor]) -> tuple[tuple[Tensor, Tensor, Tensor], list[Tensor]]:
        """Return logits (B, A), offsets (B, A, 4) and anchors (A, 4), and each image's proposals (P, 4)."""
        head = self.net.proposals
        pyramid = with_p6(levels)
        logits, offsets = head(pyramid)
        anchors = head.anchors(pyramid)
        size = (4 * levels[0].shape[-2], 4 * levels[0].shape[-1])
        with torch.no_grad():
            boxes, _ = head.propose(logits, offsets, anchors, size, self.net.config.train.proposals)
        return (torch.cat(logits, 1), torch.cat(offsets, 1), torch.cat(anchors)), list(boxes.float())

    def _outlined(self, regions: SampledRegions, targets: list[GroundTruth]) -> SampledRegions:
        """Return the regions that teach masks: of objects whose outline is known, some of each image."""
        shown = regions.take(gather(targets, "outlined", regions))
        return shown.take(first_positives(shown, self.net.config.train.mask_samples))

    def _mask_losses(
        self, levels: list[Tensor], regions: SampledRegions, targets: list[GroundTruth]
    ) -> tuple[Tensor, Tensor]:
        """Return the losses of the initial masks and of the masks refined by the reference's prototypes."""
        net = self.net
        if not len(regions.boxes):
            unused = [*net.mask_head.parameters(), *net.instance_attention.parameters()]
            nothing = torch.stack([p.sum() * 0 for p in unused]).sum()
            return nothing, nothing
        shown = mask_regions(net, levels, regions, targets)
        return mask_loss(shown.initial, shown), self._refined_loss(shown)

    def _refined_loss(self, shown: MaskRegions) -> Tensor:
        """Return the loss of the final masks; of an instance module that is switched off 0."""
        if not self.refines:
            return shown.initial.sum() * 0
        return mask_loss(refine(self.net.instance_attention, shown), shown)

    def _embedding_losses(
        self, features: Tensor, regions: SampledRegions, targets: list[GroundTruth]
    ) -> tuple[Tensor, Tensor]:
        """Contrast each key object with all regions of its reference, per pair; then average."""
        pairs = len(targets) // 2
        used = (regions.found >= 0) | (regions.image_index >= pairs)
        regions = regions.take(used)
        embeds = self.net.embedding_head(features[used]).float()
        unit = functional.normalize(embeds, dim=1)
        ids = gather(targets, "ids", regions, fallback=-1)
        contrast, auxiliary = [embeds.sum() * 0], [embeds.sum() * 0]
        for pair in range(pairs):
            key, other = regions.image_index == pair, regions.image_index == pair + pairs
            same = ids[key][:, None] == ids[other][None]
            if same.any():
                contrast.append(quasi_dense(products(embeds[key], embeds[other]), same))
                auxiliary.append(cosine_regression(products(unit[key], unit[other]), same))
        weight = self.net.config.train.embedding_weight
        return weight * torch.stack(contrast).sum() / pairs, torch.stack(auxiliary).sum() / pairs
