"""Region proposals: boxes that may contain an object."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcan_model.core.config import BackboneConfig, ProposalConfig
from pcan_model.model.backbone import conv3x3
from pcan_model.model.boxes import decode, grid_anchors, suppress

STRIDES = (4, 8, 16, 32, 64)  # of P2..P6
STD = (1.0, 1.0)  # of the proposals' box offsets


class ProposalHead(nn.Module):
    """Objectness and box offsets of every anchor of P2..P6."""

    def __init__(self, backbone: BackboneConfig, config: ProposalConfig) -> None:
        super().__init__()
        self.config = config
        self.layer = conv3x3(backbone.channels, backbone.channels, backbone.separable)
        self.objectness = nn.Conv2d(backbone.channels, len(config.ratios), 1)
        self.offsets = nn.Conv2d(backbone.channels, 4 * len(config.ratios), 1)
        for layer in (self.objectness, self.offsets):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, levels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return logits (B, A) and offsets (B, A, 4) of each level, in the order of the anchors."""
        logits, offsets = [], []
        for level in levels:
            x = self.layer(level).relu()
            logits.append(self.objectness(x).permute(0, 2, 3, 1).flatten(1))
            offsets.append(self.offsets(x).permute(0, 2, 3, 1).reshape(len(x), -1, 4))
        return logits, offsets

    def anchors(self, levels: list[Tensor]) -> list[Tensor]:
        """Return the anchors (A, 4) of each level, in pixels of the network input."""
        scale, ratios = self.config.anchor_scale, self.config.ratios
        return [
            grid_anchors(level.shape[-2], level.shape[-1], stride, scale, ratios).to(level.device)
            for level, stride in zip(levels, STRIDES, strict=True)
        ]

    def propose(
        self,
        logits: list[Tensor],
        offsets: list[Tensor],
        anchors: list[Tensor],
        size: tuple[int, int],
        count: int,
    ) -> tuple[Tensor, Tensor]:
        """Select the best `count` = P boxes of each image, with static shapes.

        returns (B, P, 4) boxes clipped to the image `size` (height, width), by descending score, and
                () bool: whether NMS converged
        """
        best = [self._best(*level, size) for level in zip(logits, offsets, anchors, strict=True)]
        scores, boxes = (torch.cat([level[i] for level in best], 1) for i in range(2))
        groups = torch.cat([torch.full_like(level[0], i) for i, level in enumerate(best)], 1)
        order = scores.topk(min(2 * count, scores.shape[1]), 1).indices
        boxes, scores, groups = _pick(boxes, order), scores.gather(1, order), groups.gather(1, order)
        keep, ok = suppress(boxes, groups, self.config.nms_iou, self.config.nms_steps)
        order = (scores - 1e4 * (1 - keep)).topk(min(count, scores.shape[1]), 1).indices
        return _pick(boxes, order), ok

    def _best(
        self, logits: Tensor, offsets: Tensor, anchors: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        scores, order = logits.topk(min(self.config.per_level, logits.shape[1]), 1)
        return scores, decode(_pick(offsets, order), anchors[order], STD, size)


def _pick(rows: Tensor, order: Tensor) -> Tensor:
    """Gather rows (B, N, 4) by index (B, P): (B, P, 4)."""
    return rows.gather(1, order[..., None].expand(-1, -1, rows.shape[-1]))
