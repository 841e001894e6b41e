"""The detector that both variants of PCAN share: QDTrack's with a Mask R-CNN mask head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from pcan_model.core.config import Config
from pcan_model.model.backbone import Backbone, Pyramid
from pcan_model.model.boxes import decode
from pcan_model.model.found import Found, best_of
from pcan_model.model.heads import STD, BoxHead, EmbeddingHead, MaskHead, choose
from pcan_model.model.proposals import STRIDES, ProposalHead
from pcan_model.model.roi_pooling import pool_by_level

Pool = Callable[[Tensor, int], Tensor]
"""Reads regions (R, C, cells, cells) of the pyramid, given boxes (R, 4) and cells."""


class Detector(nn.Module):
    """Backbone, feature pyramid, proposals and RoI heads, without memory of past frames."""

    mean: Tensor  # (3, 1, 1)
    std: Tensor  # (3, 1, 1)
    finest = 2  # level of the first map of `features`
    mask_source = "labels"  # name of Found.mask_source in the passes

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self._make_detector(config)
        self.register_buffer("mean", torch.tensor(config.input.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.input.std).view(3, 1, 1), persistent=False)

    def _make_detector(self, config: Config) -> None:
        channels, classes = config.backbone.channels, len(config.classes)
        self.backbone = Backbone(config.backbone)
        self.pyramid = Pyramid(self.backbone.channels, config.backbone)
        self.proposals = ProposalHead(config.backbone, config.proposals)
        self.box_head = BoxHead(channels, classes, config.heads)
        self.mask_head = MaskHead(channels, classes, config.heads)
        self.embedding_head = EmbeddingHead(channels, config.heads)

    def normalise(self, images: Tensor) -> Tensor:
        """Normalise images (B, H, W, 3) uint8 RGB to the backbone's input (B, 3, H, W) float.

        The cast comes first: TensorRT supports no other operation on uint8.
        """
        return (images.float().permute(0, 3, 1, 2) - self.mean) / self.std

    def features(self, images: Tensor) -> list[Tensor]:
        """Return P2..P5 of images (B, H, W, 3) uint8 RGB, before the frame memory is read."""
        pyramid: list[Tensor] = self.pyramid(self.backbone(self.normalise(images)))
        return pyramid

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return the parameters whose learning rate is scaled by `train.backbone_rate`."""
        return list(self.backbone.parameters())

    def class_layers(self) -> tuple[str, ...]:
        """Return the names of the layers with one row per class, if boxes and masks are class-agnostic."""
        return ("box_head.logits",)

    def complete(self, levels: list[Tensor]) -> list[Tensor]:
        """Return the pyramid for the heads, given levels fused with the memory; here unchanged."""
        return levels

    def level_sizes(self) -> list[tuple[int, int]]:
        """Return (height, width) of P2..P5 for the configured input, padded to multiples of P5's stride."""
        size, coarsest = self.config.input, STRIDES[3]
        height, width = (side + -side % coarsest for side in (size.height, size.width))
        return [(height // stride, width // stride) for stride in STRIDES[:4]]

    def region_levels(self, levels: list[Tensor]) -> list[Tensor]:
        """Return the four levels from which RoIs are pooled."""
        return levels

    def region_boxes(self, boxes: Tensor) -> Tensor:
        """Scale boxes (R, 4) so that the first of these levels has stride 4: here they stay."""
        return boxes

    def detect(self, levels: list[Tensor], pool: Pool, *, sampled: bool = False) -> Found:
        """Return the best D detections of one image.

        sampled  replace operators that some runtimes lack by grid sampling; here there are none
        """
        head, config = self.proposals, self.config.heads
        size = self.config.input.height, self.config.input.width
        pyramid = with_p6(levels)
        logits, offsets = head(pyramid)
        count = head.config.count
        proposals, proposals_ok = head.propose(logits, offsets, head.anchors(pyramid), size, count)
        logits, offsets = self.box_head(pool(proposals[0], config.box_size))
        boxes = decode(offsets, proposals[0][:, None], STD, size)
        classes = logits.shape[1] - 1
        scores = logits.softmax(1)[:, :classes]
        boxes = boxes.expand(-1, classes, -1).flatten(0, 1)
        best, order = scores.flatten().topk(min(4 * config.detections, scores.numel()))
        boxes, labels = boxes[order], order % classes
        found, _ = best_of(boxes, best, labels, self.config)
        return replace(found, converged=found.converged & proposals_ok)

    def embed(self, found: Found, pool: Pool) -> Tensor:
        """Return embeddings (D, E) of detections."""
        embeds: Tensor = self.embedding_head(pool(found.boxes, self.config.heads.box_size))
        return embeds

    def initial_masks(self, regions: Tensor, source: Tensor) -> Tensor:
        """Return logits (R, 2S, 2S) of initial masks, of RoI features (R, C, S, S) and Found.mask_source."""
        return choose(self.mask_head(regions), source)

    def pool(self, levels: list[Tensor], boxes: Tensor, image: Tensor, cells: int) -> Tensor:
        """Return RoI features (R, C, cells, cells) of boxes (R, 4) in the images of index (R,)."""
        return pool_by_level(levels, boxes, image, cells, samples=self.config.heads.cell_samples)


def with_p6(levels: list[Tensor]) -> list[Tensor]:
    """Append P6, P5 subsampled by 2, for proposals of large objects."""
    return [*levels, levels[-1][:, :, ::2, ::2]]
