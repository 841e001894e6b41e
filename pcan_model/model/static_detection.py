"""The objects of one image in static shapes: what the frame passes of both forms share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcan_model.model.boxes import decode, suppress
from pcan_model.model.detector import Detector, with_p6
from pcan_model.model.heads import STD, choose
from pcan_model.model.roi_pooling import levels_of, pack_with_edges, pool_packed, sample_regions


class StaticDetection(nn.Module):
    """Detections, and what the heads compute of them, from the pyramid of one image."""

    def __init__(self, net: Detector, *, grid_sample: bool = False) -> None:
        """Take a network.

        grid_sample  read regions by sampling, 2 x 2 samples a cell, instead of by the RoIAlign operator
        """
        super().__init__()
        self.net, self.grid_sample = net, grid_sample

    def _pack(self, levels: list[Tensor]) -> Tensor | list[Tensor]:
        """Return what regions are read from: the packed pyramid, or for sampling its levels."""
        return levels if self.grid_sample else pack_with_edges(levels)

    def _pool(self, source: Tensor | list[Tensor], boxes: Tensor, cells: int) -> Tensor:
        """Read regions (R, C, cells, cells) of the one image."""
        if isinstance(source, list):
            return sample_regions(source, boxes, levels_of(boxes), cells)
        image, samples = torch.zeros_like(boxes[:, 0]), self.net.config.heads.cell_samples
        return pool_packed(source, self.net.level_sizes(), boxes, image, cells, samples=samples)

    def _detect(
        self, levels: list[Tensor], source: Tensor | list[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the best D boxes, their scores and labels, and whether suppression settled."""
        head, config = self.net.proposals, self.net.config.heads
        size = self.net.config.input.height, self.net.config.input.width
        pyramid = with_p6(levels)
        logits, offsets = head(pyramid)
        count = head.config.count
        proposals, proposals_ok = head.propose(logits, offsets, head.anchors(pyramid), size, count)
        regions = self._pool(source, proposals[0], config.box_size)
        logits, offsets = self.net.box_head(regions)
        boxes = decode(offsets, proposals[0][:, None], STD, size)
        classes = logits.shape[1] - 1
        scores = logits.softmax(1)[:, :classes]
        boxes = boxes.expand(-1, classes, -1).flatten(0, 1)
        best, order = scores.flatten().topk(min(4 * config.detections, scores.numel()))
        boxes, labels = boxes[order], order % classes
        keep, ok = suppress(boxes[None], labels[None], config.nms_iou, self.net.config.proposals.nms_steps)
        best, order = (best * keep[0]).topk(config.detections)
        best = best * (best > config.score_threshold)
        return boxes[order], best, labels[order], ok & proposals_ok

    def _describe(
        self, source: Tensor | list[Tensor], boxes: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return embeddings (D, E), RoI features (D, C, S, S) and initial mask logits (D, 2S, 2S)."""
        heads = self.net.config.heads
        embeds = self.net.embedding_head(self._pool(source, boxes, heads.box_size))
        regions = self._pool(source, boxes, heads.mask_size)
        return embeds, regions, choose(self.net.mask_head(regions), labels)
