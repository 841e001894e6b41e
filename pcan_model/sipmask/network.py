"""The SipMask network: backbone, pyramid and head."""

from __future__ import annotations

from torch import Tensor, nn

from pcan_model.sipmask.backbone import SipMaskPyramid, sipmask_backbone
from pcan_model.sipmask.config import SipMaskConfig
from pcan_model.sipmask.head import HeadMaps, SipMaskHead


class SipMask(nn.Module):
    """Images to maps; a memory may change P3 to P5 between `pyramid` and `head`."""

    def __init__(self, config: SipMaskConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = sipmask_backbone(config.backbone, caffe=config.caffe)
        self.pyramid = SipMaskPyramid(self.backbone.channels[1:], config.backbone)
        self.head = SipMaskHead(config.classes, config.backbone.channels, config.head)

    def forward(self, images: Tensor) -> HeadMaps:
        """Read prepared images (B, 3, H, W), sides multiples of 32 (image.network_input)."""
        fine, coarse = self.levels(images)
        maps: HeadMaps = self.head(fine + coarse)
        return maps

    def levels(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return P3 to P5, which a memory may change, and P6 and P7, which stay."""
        fine = self.pyramid(self.backbone(images)[1:])
        return fine, self.pyramid.coarse(fine[-1])
