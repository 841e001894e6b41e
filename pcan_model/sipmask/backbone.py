"""Image to pyramid: a frozen-statistics backbone and P3 to P7."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcan_model.core.config import BackboneConfig
from pcan_model.model.backbone import Backbone, Pyramid


def sipmask_backbone(config: BackboneConfig) -> Backbone:
    """Return a backbone whose batch normalisations are never trained."""
    backbone = Backbone(config)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.requires_grad_(False)
    return backbone


class SipMaskPyramid(nn.Module):
    """P3, P4, P5 (strides 8, 16, 32) of C3, C4, C5, and the coarse P6 and P7 below P5.

    The coarse levels are apart so that a memory can change P3 to P5 and leave them alone.
    """

    def __init__(self, channels_in: list[int], config: BackboneConfig) -> None:
        super().__init__()
        self.fine = Pyramid(channels_in, config)
        self.p6, self.p7 = (
            nn.Conv2d(config.channels, config.channels, 3, stride=2, padding=1) for _ in range(2)
        )

    def forward(self, stages: list[Tensor]) -> list[Tensor]:
        """Return P3, P4, P5, each (B, C, H / stride, W / stride)."""
        levels: list[Tensor] = self.fine(stages)
        return levels

    def coarse(self, p5: Tensor) -> list[Tensor]:
        """Return P6 and P7; P6 goes on without the ReLU that P7 is computed from."""
        p6 = self.p6(p5)
        return [p6, self.p7(torch.relu(p6))]
