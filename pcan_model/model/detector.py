"""What both forms of PCAN share: QDTrack's detector with a mask head, Mask R-CNN's way."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcan_model.core.config import Config
from pcan_model.model.backbone import Backbone, Pyramid
from pcan_model.model.heads import BoxHead, EmbeddingHead, MaskHead
from pcan_model.model.proposals import STRIDES, ProposalHead
from pcan_model.model.roi_pooling import pool_by_level


class Detector(nn.Module):
    """Backbone, pyramid, proposals and the heads on regions; no memory of past frames."""

    mean: Tensor  # (3, 1, 1)
    std: Tensor  # (3, 1, 1)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        channels, classes = config.backbone.channels, len(config.classes)
        self.backbone = Backbone(config.backbone)
        self.pyramid = Pyramid(self.backbone.channels, config.backbone)
        self.proposals = ProposalHead(config.backbone, config.proposals)
        self.box_head = BoxHead(channels, classes, config.heads)
        self.mask_head = MaskHead(channels, classes, config.heads)
        self.embedding_head = EmbeddingHead(channels, config.heads)
        self.register_buffer("mean", torch.tensor(config.input.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.input.std).view(3, 1, 1), persistent=False)

    def normalise(self, images: Tensor) -> Tensor:
        """Turn images (B, H, W, 3) uint8 RGB into what the backbone takes, (B, 3, H, W).

        Widened first: TensorRT takes uint8 into nothing but a cast.
        """
        return (images.float().permute(0, 3, 1, 2) - self.mean) / self.std

    def features(self, images: Tensor) -> list[Tensor]:
        """Return P2..P5 of images (B, H, W, 3) uint8 RGB, before any memory is read."""
        pyramid: list[Tensor] = self.pyramid(self.backbone(self.normalise(images)))
        return pyramid

    def level_sizes(self) -> list[tuple[int, int]]:
        """Return height and width of P2..P5 of the configuration's images, padded to cells of P5."""
        size, coarsest = self.config.input, STRIDES[3]
        height, width = (side + -side % coarsest for side in (size.height, size.width))
        return [(height // stride, width // stride) for stride in STRIDES[:4]]

    def pool(self, levels: list[Tensor], boxes: Tensor, image: Tensor, cells: int) -> Tensor:
        """Return RoI features (R, C, cells, cells) of boxes (R, 4) in the images (R,)."""
        return pool_by_level(levels, boxes, image, cells, samples=self.config.heads.cell_samples)


def with_p6(levels: list[Tensor]) -> list[Tensor]:
    """Add P6, every other cell of P5, for proposals of large objects."""
    return [*levels, levels[-1][:, :, ::2, ::2]]
