"""The released training in stages: detector with embedding, then masks, then refinement.

Each stage takes pairs as in joint training (keys before references) and returns its losses; the others
are 0. Only the parameters of the stage are trained. No stage uses the frame-level memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pcan_model.model.detector import Detector, with_p6
from pcan_model.model.heads import choose
from pcan_model.released.detection import keep_best
from pcan_model.released.network import ReleasedPCAN
from pcan_model.released.refinement import MaskedRegions
from pcan_model.released.sampling import REGION, TRACK, SamplingOptions, sample_rois
from pcan_model.training.losses import Losses, cosine_regression, mask_criterion, products, quasi_dense
from pcan_model.training.roi_sampling import SampledRegions, box_losses, gather, join_regions, proposal_losses
from pcan_model.training.targets import GroundTruth, mask_targets

TRAINED = {  # prefixes of the parameters trained in each stage
    "detector": ("backbone.", "pyramid.", "proposals.", "box_head.", "embedding_head."),
    "masks": ("mask_head.",),
    "refinement": ("refine.",),
}
KEY_PER_LEVEL = 2000  # proposals per level before NMS in key frames; references as in inference
PAIR_COSINE = 0.5  # minimum cosine similarity of a key region and its reference


@dataclass(frozen=True, slots=True, eq=False)
class ProposalOutputs:
    """Outputs of the proposal head for B images of equal size."""

    logits: list[Tensor]  # per level (B, A)
    offsets: list[Tensor]  # per level (B, A, 4)
    anchors: list[Tensor]  # per level (A, 4)
    size: tuple[int, int]  # height and width of the images


class ReleasedStage(nn.Module):
    """A stage of the released training; `forward` returns its losses."""

    def __init__(self, net: ReleasedPCAN) -> None:
        super().__init__()
        self.net = net
        train = net.config.train
        frozen = net.config.backbone.frozen
        for name, parameter in net.named_parameters():
            still = any(name.startswith(f"backbone.stages.{i}.") for i in range(frozen))
            parameter.requires_grad_(name.startswith(TRAINED[train.stage]) and not still)
        self.track = TRACK
        self.mask_criterion = mask_criterion(net.config.released.dice_weight)
        self.region = SamplingOptions(REGION.high, REGION.low, train.roi_samples, train.roi_positives)

    def propose(self, levels: list[Tensor], size: tuple[int, int]) -> ProposalOutputs:
        """Run the proposal head on P2..P5."""
        pyramid = with_p6(levels)
        logits, offsets = self.net.proposals(pyramid)
        return ProposalOutputs(logits, offsets, self.net.proposals.anchors(pyramid), size)

    def sample_rois(
        self,
        proposed: ProposalOutputs,
        targets: list[GroundTruth],
        how: SamplingOptions,
        *,
        per_level: int = 0,
    ) -> SampledRegions:
        """Sample regions of each image from its best proposals and its ground-truth boxes."""
        drawn = []
        for i, target in enumerate(targets):
            parts = zip(proposed.logits, proposed.offsets, proposed.anchors, strict=True)
            rows = [(logits[i].detach(), offsets[i].detach(), anchors) for logits, offsets, anchors in parts]
            count, limit = self.net.config.train.proposals, per_level or self.net.config.proposals.per_level
            boxes, _ = keep_best(rows, proposed.size, count, limit, self.net.config.proposals.nms_iou)
            drawn.append(sample_rois(boxes, target, i, how))
        return join_regions(drawn)

    def mask_loss(self, logits: Tensor, regions: SampledRegions, targets: list[GroundTruth]) -> Tensor:
        """Return the loss of mask logits (R, m, m); 0 without masks."""
        if not len(logits):
            return logits.sum()
        expected = []
        for i, target in enumerate(targets):
            own = regions.take(regions.image_index == i)
            expected.append(mask_targets(target.masks, own.boxes, own.found, logits.shape[-1]))
        return self.mask_criterion(logits, torch.cat(expected))

    def proposal_losses(self, proposed: ProposalOutputs, targets: list[GroundTruth]) -> tuple[Tensor, Tensor]:
        """Return the objectness and offset losses."""
        every = torch.cat(proposed.logits, 1), torch.cat(proposed.offsets, 1), torch.cat(proposed.anchors)
        return proposal_losses(*every, targets, self.net.config.train.rpn_samples)


class DetectorStage(ReleasedStage):
    """QDTrack's training: proposals and boxes in key frames, embeddings in keys and references."""

    def forward(self, images: Tensor, targets: list[GroundTruth]) -> Losses:
        """Compute the losses of B pairs; images (2B, H, W, 3) uint8 RGB, keys before references."""
        pairs, size = len(targets) // 2, (images.shape[1], images.shape[2])
        levels = self.net.features(images)
        keys, others = [x[:pairs] for x in levels], [x[pairs:] for x in levels]
        proposed = self.propose(keys, size)
        objectness, offsets = self.proposal_losses(proposed, targets[:pairs])
        regions = self.sample_rois(proposed, targets[:pairs], self.region, per_level=KEY_PER_LEVEL)
        pooled = self.net.pool(keys, regions.boxes, regions.image_index, self.net.config.heads.box_size)
        classes, boxes = box_losses(self.net.box_head, pooled, regions, targets[:pairs])
        own = self.sample_rois(proposed, targets[:pairs], self.track, per_level=KEY_PER_LEVEL)
        own = own.take(own.found >= 0)
        reference = self.sample_rois(self.propose(others, size), targets[pairs:], self.track)
        embeds = embed(self.net, keys, own), embed(self.net, others, reference)
        ids = gather(targets[:pairs], "ids", own), gather(targets[pairs:], "ids", reference, fallback=-1)
        embedding, auxiliary = self._embedding_losses(
            embeds, ids, (own.image_index, reference.image_index), pairs
        )
        zero = objectness * 0
        return Losses(objectness, offsets, classes, boxes, zero, embedding, auxiliary, zero)

    def _embedding_losses(
        self,
        embeds: tuple[Tensor, Tensor],
        ids: tuple[Tensor, Tensor],
        image_index: tuple[Tensor, Tensor],
        pairs: int,
    ) -> tuple[Tensor, Tensor]:
        """Return the embedding losses of key objects and all regions of their reference, mean over pairs."""
        contrast = auxiliary = embeds[0].sum() * 0
        for pair in range(pairs):
            a, b = (e[p == pair] for e, p in zip(embeds, image_index, strict=True))
            key_ids, other_ids = (i[p == pair] for i, p in zip(ids, image_index, strict=True))
            same = key_ids[:, None] == other_ids[None]
            cosine = products(functional.normalize(a, dim=1), functional.normalize(b, dim=1))
            cosine = torch.where(
                same, cosine.clamp_min(0), cosine
            )  # as in the released loss, which ignores negative similarities
            contrast = contrast + quasi_dense(products(a, b), same)
            auxiliary = auxiliary + cosine_regression(cosine, same)
        return self.net.config.train.embedding_weight * contrast / pairs, auxiliary / pairs


class MaskStage(ReleasedStage):
    """Trains the mask head on key frames of a frozen detector."""

    def forward(self, images: Tensor, targets: list[GroundTruth]) -> Losses:
        """Compute the losses of the key frames of B pairs."""
        pairs, size = len(targets) // 2, (images.shape[1], images.shape[2])
        with torch.no_grad():
            levels = self.net.features(images[:pairs])
            regions = self.sample_rois(
                self.propose(levels, size), targets[:pairs], self.region, per_level=KEY_PER_LEVEL
            )
            regions = regions.take(gather(targets[:pairs], "outlined", regions))
            pooled = self.net.pool(
                levels, regions.boxes, regions.image_index, self.net.config.heads.mask_size
            )
        masks = choose(self.net.mask_head(pooled), gather(targets[:pairs], "labels", regions))
        loss = self.mask_loss(masks, regions, targets[:pairs])
        zero = loss * 0
        return Losses(zero, zero, zero, zero, loss, zero, zero, zero)


class RefinementStage(ReleasedStage):
    """Trains the refinement on key regions and reference regions of the same object."""

    def forward(self, images: Tensor, targets: list[GroundTruth]) -> Losses:
        """Compute the losses of B pairs; the proposal losses are reported only."""
        pairs, size = len(targets) // 2, (images.shape[1], images.shape[2])
        with torch.no_grad():
            levels = self.net.features(images)
            keys, others = [x[:pairs] for x in levels], [x[pairs:] for x in levels]
            proposed = self.propose(keys, size)
            objectness, offsets = self.proposal_losses(proposed, targets[:pairs])
            own = self.sample_rois(proposed, targets[:pairs], self.region, per_level=KEY_PER_LEVEL)
            own = own.take(gather(targets[:pairs], "outlined", own))
            reference = self.sample_rois(self.propose(others, size), targets[pairs:], self.region)
            reference = reference.take(reference.found >= 0)
            index, partner = self._pair(keys, others, own, reference, targets)
            current = self._masked(keys, own, targets[:pairs])
            if len(index):
                seen = self._masked(others, reference, targets[pairs:])
                own, current = own.take(index), _take(current, index)
                seen = _take(seen, partner)
            else:
                seen = current  # no pairs in the batch: each region is its own reference
        start = self.net.refine.prototypes.start()
        logits, prototypes = self.net.refine(seen, current, start)
        self.net.refine.prototypes.drift(prototypes, self.net.config.released.drift_rate)
        loss = self.mask_loss(logits, own, targets[:pairs])
        zero = loss.detach() * 0
        return Losses(objectness, offsets, zero, zero, zero, zero, zero, loss)

    def _pair(
        self,
        keys: list[Tensor],
        others: list[Tensor],
        own: SampledRegions,
        reference: SampledRegions,
        targets: list[GroundTruth],
    ) -> tuple[Tensor, Tensor]:
        """Return the key regions with a reference, and the references."""
        pairs = len(targets) // 2
        ids = gather(targets[:pairs], "ids", own), gather(targets[pairs:], "ids", reference)
        same = (ids[0][:, None] == ids[1]) & (own.image_index[:, None] == reference.image_index)
        return pair_regions(embed(self.net, keys, own), embed(self.net, others, reference), same)

    def _masked(
        self, levels: list[Tensor], regions: SampledRegions, targets: list[GroundTruth]
    ) -> MaskedRegions:
        """Return RoI features and the initial masks of the target classes."""
        pooled = self.net.pool(levels, regions.boxes, regions.image_index, self.net.config.heads.mask_size)
        return MaskedRegions(pooled, choose(self.net.mask_head(pooled), gather(targets, "labels", regions)))


STAGES: dict[str, type[ReleasedStage]] = {
    "detector": DetectorStage,
    "masks": MaskStage,
    "refinement": RefinementStage,
}


def pair_regions(keys: Tensor, references: Tensor, same: Tensor) -> tuple[Tensor, Tensor]:
    """Find the most similar reference region of the same object for each key region.

    keys     (N, E), references (M, E)  embeddings
    same     (N, M)  whether both show the same object in the same pair
    returns  rows of the keys with a cosine above PAIR_COSINE, and rows of their references
    """
    if not same.numel():
        nothing = torch.zeros(0, dtype=torch.long, device=keys.device)
        return nothing, nothing
    cosine = products(functional.normalize(keys, dim=1), functional.normalize(references, dim=1))
    best, partner = (cosine * same).max(1)
    index = (best > PAIR_COSINE).nonzero()[:, 0]
    return index, partner[index]


def embed(net: Detector, levels: list[Tensor], regions: SampledRegions) -> Tensor:
    """Return the embeddings of regions, (R, E)."""
    pooled = net.pool(levels, regions.boxes, regions.image_index, net.config.heads.box_size)
    embeds: Tensor = net.embedding_head(pooled)
    return embeds


def _take(regions: MaskedRegions, index: Tensor) -> MaskedRegions:
    return MaskedRegions(regions.features[index], regions.masks[index])
