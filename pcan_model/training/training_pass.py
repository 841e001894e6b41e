"""The training pass: clips of a key, its reference and older frames to losses, end to end (sec. 4.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pcan_model.model.detector import with_p6
from pcan_model.model.instance_attention import NoInstanceAttention
from pcan_model.model.pcan import PCAN
from pcan_model.model.roi_pooling import pool_by_level
from pcan_model.training.clip_memory import clip_features, read_past
from pcan_model.training.losses import Losses, cosine_regression, products, quasi_dense
from pcan_model.training.mask_losses import MaskRegions, mask_loss, mask_regions, refine
from pcan_model.training.roi_sampling import (
    SampledRegions,
    box_losses,
    first_positives,
    gather,
    join_regions,
    proposal_losses,
    sample_regions,
    true_regions,
)
from pcan_model.training.targets import GroundTruth


class TrainingPass(nn.Module):
    """Wraps the network so that one forward call gives the losses (what DistributedDataParallel needs)."""

    def __init__(self, net: PCAN) -> None:
        super().__init__()
        self.net = net
        self.refines = not isinstance(net.instance_attention, NoInstanceAttention)

    def forward(self, images: Tensor, targets: list[GroundTruth]) -> Losses:
        """Compute all losses of B clips.

        images   (T * B, H, W, 3) uint8 RGB, the B keys, the B references, then older frames
        targets  what each shows
        """
        levels = self._read_references(self._features(images))
        newest, pairs = self._newest(levels), targets[: self._judged(len(targets))]
        logits, boxes = self._propose(newest)
        objectness, proposals = proposal_losses(*logits, pairs, self.net.config.train.rpn_samples)
        regions = sample_regions(boxes, pairs, self.net.config.train)
        features = pool_by_level(newest, regions.boxes, regions.image_index, self.net.config.heads.box_size)
        classes, corners = box_losses(self.net.box_head, features, regions, pairs)
        masks, refined = self._mask_losses(levels, self._outlined(regions, targets), targets)
        embedding, auxiliary = self._embedding_losses(features, regions, pairs)
        return Losses(objectness, proposals, classes, corners, masks, embedding, auxiliary, refined)

    def _judged(self, images: int) -> int:
        """Return the number of keys and references in a batch, whose detections have losses."""
        return 2 * images // self.net.config.train.clip_frames

    def _newest(self, levels: list[Tensor]) -> list[Tensor]:
        """Return the pyramid of keys and references."""
        return [level[: self._judged(len(level))] for level in levels]

    def _features(self, images: Tensor) -> list[Tensor]:
        """Return the pyramid of all images before the memory is read."""
        train = self.net.config.train
        learned = train.clip_gradients * len(images) // train.clip_frames
        return clip_features(self.net.features, images, learned)

    def _read_references(self, levels: list[Tensor]) -> list[Tensor]:
        """Let each frame read the prototypes of older ones; the oldest reads nothing."""
        return read_past(self.net, levels, self.net.config.train.clip_frames)

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
        """Return the regions with mask losses: on objects with masks, a limited number per image.

        Older frames than the reference have their true boxes, in which tracks were.
        """
        shown = join_regions([regions, *true_regions(targets, self._judged(len(targets)))])
        shown = shown.take(gather(targets, "outlined", shown))
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
        """Return the loss of the final masks; 0 if the instance attention is disabled."""
        if not self.refines:
            return shown.initial.sum() * 0
        return mask_loss(refine(self.net.instance_attention, shown), shown)

    def _embedding_losses(
        self, features: Tensor, regions: SampledRegions, targets: list[GroundTruth]
    ) -> tuple[Tensor, Tensor]:
        """Contrastive loss of each key object against all regions of its reference, averaged over pairs."""
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
