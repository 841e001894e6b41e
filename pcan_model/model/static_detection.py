"""Detection in one image with static shapes, shared by the frame passes of both variants."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from pcan_model.model.detector import Detector
from pcan_model.model.found import Found
from pcan_model.model.roi_pooling import levels_of, pack_with_edges, pool_packed, sample_regions


class StaticDetection(nn.Module):
    """Detections and their head outputs from the pyramid of one image."""

    def __init__(self, net: Detector, *, grid_sample: bool = False) -> None:
        """Wrap a network.

        grid_sample  pool by grid sampling, 2 x 2 samples per cell, instead of by the RoIAlign operator
        """
        super().__init__()
        self.net, self.grid_sample = net, grid_sample

    def _pack(self, levels: list[Tensor]) -> Tensor | list[Tensor]:
        """Return the source of RoI features: the packed pyramid, or its levels for grid sampling."""
        levels = self.net.region_levels(levels)
        return levels if self.grid_sample else pack_with_edges(levels)

    def _pool(self, source: Tensor | list[Tensor], boxes: Tensor, cells: int) -> Tensor:
        """Return RoI features (R, C, cells, cells) of the one image."""
        boxes = self.net.region_boxes(boxes)
        if isinstance(source, list):
            return sample_regions(source, boxes, levels_of(boxes), cells)
        image, samples = torch.zeros_like(boxes[:, 0]), self.net.config.heads.cell_samples
        return pool_packed(source, self.net.level_sizes(), boxes, image, cells, samples=samples)

    def _detect(self, levels: list[Tensor], source: Tensor | list[Tensor]) -> Found:
        """Return the best D detections."""
        return self.net.detect(levels, partial(self._pool, source), sampled=self.grid_sample)

    def _describe(self, source: Tensor | list[Tensor], found: Found) -> tuple[Tensor, Tensor, Tensor]:
        """Return embeddings (D, E), RoI features (D, C, S, S) and initial mask logits (D, 2S, 2S)."""
        embeds = self.net.embed(found, partial(self._pool, source))
        regions = self._pool(source, found.boxes, self.net.config.heads.mask_size)
        return embeds, regions, self.net.initial_masks(regions, found.mask_source)
