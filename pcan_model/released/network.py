"""The released PCAN: the shared detector with the released memory and refinement."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from pcan_model.core.config import Config
from pcan_model.model.detector import Detector
from pcan_model.model.heads import choose
from pcan_model.released.detection import Proposer, read_boxes
from pcan_model.released.frame_memory import Bank, FrameMemory
from pcan_model.released.refinement import MaskedRegions, RefineHead

STRIDE = 32  # the network's input is a multiple of this


@dataclass(frozen=True, slots=True, eq=False)
class ReleasedDetections:
    """Outputs of the frame pass for one image: N detections by descending score, N may be 0."""

    boxes: Tensor  # (N, 4) x1 y1 x2 y2 in pixels of the network input
    scores: Tensor  # (N,)
    labels: Tensor  # (N,)
    embeds: Tensor  # (N, E) not normalised
    regions: MaskedRegions  # with the initial masks


class ReleasedPCAN(Detector):
    """The network of the released variant."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.frame_memory = FrameMemory(config)
        self.refine = RefineHead(config)

    def features(self, images: Tensor) -> list[Tensor]:
        """Return P2..P5 of images (B, H, W, 3) uint8 RGB of any size, before the memory is read."""
        levels: list[Tensor] = self.pyramid(self.backbone(pad(self.normalise(images))))
        return levels


class ReleasedFramePass(nn.Module):
    """Maps an image and the bank to detections and the next bank."""

    def __init__(self, net: ReleasedPCAN) -> None:
        super().__init__()
        self.net = net
        self.propose = Proposer(net.proposals)

    def forward(self, image: Tensor, bank: Bank) -> tuple[ReleasedDetections, Bank]:
        """Detect objects in an image (1, H, W, 3) uint8 RGB of any size."""
        net, size = self.net, (image.shape[1], image.shape[2])
        levels, bank = net.frame_memory(net.features(image), bank)
        proposals, _ = self.propose(levels, size)
        logits, offsets = net.box_head(self._pool(levels, proposals, net.config.heads.box_size))
        boxes, scores, labels = read_boxes(logits, offsets, proposals, size, net.config.heads)
        embeds = net.embedding_head(self._pool(levels, boxes, net.config.heads.box_size))
        features = self._pool(levels, boxes, net.config.heads.mask_size)
        masks = choose(net.mask_head(features), labels)
        return ReleasedDetections(boxes, scores, labels, embeds, MaskedRegions(features, masks)), bank

    def _pool(self, levels: list[Tensor], boxes: Tensor, cells: int) -> Tensor:
        return self.net.pool(levels, boxes, boxes.new_zeros(len(boxes)), cells)


def pad(images: Tensor) -> Tensor:
    """Zero-pad normalised images (B, 3, H, W) on the right and bottom to multiples of 32."""
    right, below = -images.shape[3] % STRIDE, -images.shape[2] % STRIDE
    return nn.functional.pad(images, (0, right, 0, below))
