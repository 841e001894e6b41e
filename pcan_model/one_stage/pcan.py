"""PCAN on YOLOX.

A detector gives a pyramid of equal channels on strides 8, 16 and 32 (`levels`), on which frame attention
works, and says of each cell which object it belongs to (`cells`). Regions for masks and embeddings are
read off the same pyramid with a level of stride 4 below it, which detection does not see.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from pcan_model.core.config import Config
from pcan_model.model.boxes import clip
from pcan_model.model.detector import Pool
from pcan_model.model.found import Found, best_of
from pcan_model.model.heads import EmbeddingHead, MaskHead
from pcan_model.model.pcan import PCAN
from pcan_model.one_stage.cells import Cells, decode_cells, grid
from pcan_model.one_stage.yolox import STRIDES, Conv, Darknet, LevelHead, PathNetwork, twice

CANDIDATES = 4  # cells that compete in the suppression, for each detection


class YoloxPyramid(nn.Module):
    """Image to P3..P5 of equal channels, and the features of stride 4 that P2 is made of."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.darknet = Darknet()
        self.finest, *coarser = self.darknet.channels
        self.paths = PathNetwork(tuple(coarser))
        self.stems = nn.ModuleList(Conv(each, channels, 1) for each in coarser)

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return features of stride 4 (B, 32, H / 4, W / 4), and P3..P5 (B, C, ...), of RGB images."""
        finest, *coarser = self.darknet(images)
        levels = [stem(x) for stem, x in zip(self.stems, self.paths(coarser), strict=True)]
        return finest, levels


class YoloxPCAN(PCAN):
    """PCAN with YOLOX as its detector; untrained, its detections are exactly YOLOX's."""

    def _make_detector(self, config: Config) -> None:
        channels, classes = config.backbone.channels, len(config.classes)
        trunk = YoloxPyramid(channels)
        self.backbone = trunk  # type: ignore[assignment]
        self.heads = nn.ModuleList(LevelHead(channels, classes) for _ in STRIDES)
        self.lateral = nn.Conv2d(trunk.finest, channels, 1)
        self.mask_head = MaskHead(channels, classes, config.heads)
        self.embedding_head = EmbeddingHead(channels, config.heads)

    def features(self, images: Tensor) -> list[Tensor]:
        """Return P2..P5 of images (B, H, W, 3) uint8 RGB, before any memory is read; P2 lacks P3 yet."""
        finest, levels = self.trunk(images)
        return [self.lateral(finest), *levels]

    def trunk(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the features of stride 4 and P3..P5 of images (B, H, W, 3) uint8 RGB."""
        finest, levels = self.backbone(self.normalise(images))
        return finest, levels

    def normalise(self, images: Tensor) -> Tensor:
        """Turn images (B, H, W, 3) uint8 into (B, 3, H, W) without normalisation, as YOLOX expects."""
        return images.float().permute(0, 3, 1, 2)

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return the detector's parameters, trained at `train.backbone_rate`."""
        return [*self.backbone.parameters(), *self.heads.parameters()]

    def class_layers(self) -> tuple[str, ...]:
        """Return the last class layer of every level; see the base class."""
        return tuple(f"heads.{i}.classes" for i in range(len(self.heads)))

    def complete(self, levels: list[Tensor]) -> list[Tensor]:
        """Add the fused P3 to P2, from which small objects are pooled."""
        return [levels[0] + twice(levels[1]), *levels[1:]]

    def cells(self, levels: list[Tensor]) -> Cells:
        """Return the detector's output for the cells of P3..P5."""
        per_level = [head(x) for head, x in zip(self.heads, levels[1:], strict=True)]
        classes, offsets, objectness = (
            torch.cat([part.flatten(2) for part in parts], 2).mT for parts in zip(*per_level, strict=True)
        )
        return Cells(classes, offsets, objectness[..., 0])

    def grid(self, levels: list[Tensor]) -> Tensor:
        """Return column, row and stride of the cells, (A, 3)."""
        sizes = [(level.shape[2], level.shape[3]) for level in levels[1:]]
        return grid(sizes, STRIDES).to(levels[0].device)

    def detect(self, levels: list[Tensor], pool: Pool, *, sampled: bool = False) -> Found:
        """Return the best D detections.

        A cell has one class, its best; boxes of different classes never suppress each other. Rows without
        a detection are 0.
        """
        cells, config = self.cells(levels), self.config
        best, labels = cells.scores()[0].max(-1)
        best, order = best.topk(min(CANDIDATES * config.heads.detections, len(best)))
        size = config.input.height, config.input.width
        boxes = clip(decode_cells(cells.offsets[0, order], self.grid(levels)[order]), size)
        labels = labels[order]
        found, _ = best_of(boxes, best, labels, config)
        shown = found.scores > 0
        return replace(found, boxes=found.boxes * shown[:, None], labels=found.labels * shown)
