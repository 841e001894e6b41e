"""The SipMask network: backbone, pyramid and head."""

from __future__ import annotations

from torch import Tensor, nn

from pcan_model.core.config import Config
from pcan_model.sipmask.backbone import SipMaskPyramid, sipmask_backbone
from pcan_model.sipmask.head import HeadMaps, SipMaskHead


class SipMask(nn.Module):
    """Images to maps; a memory may change P3 to P5 between `pyramid` and `head`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, self._turned = config, config.backbone.caffe
        self.backbone = sipmask_backbone(config.backbone)
        self.pyramid = SipMaskPyramid(self.backbone.channels[1:], config.backbone)
        self.head = SipMaskHead(len(config.classes), config.backbone.channels, config.sipmask)

    def forward(self, images: Tensor) -> HeadMaps:
        """Read images (B, 3, H, W) made by `network_input`, sides multiples of 32."""
        fine, coarse = self.levels(images)
        maps: HeadMaps = self.head(fine + coarse)
        return maps

    def arrange(self, pixels: Tensor) -> Tensor:
        """Turn normalised RGB images (B, 3, H, W) into the backbone's order of channels; Caffe's is BGR."""
        return pixels.flip(1) if self._turned else pixels

    def levels(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return P3 to P5, which a memory may change, and P6 and P7, which stay."""
        fine = self.pyramid(self.backbone(images)[1:])
        return fine, self.pyramid.coarse(fine[-1])
