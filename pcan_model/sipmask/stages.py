"""The ways to train SipMask and PCAN on it, each on what the one before has learnt.

detector  SipMask-VIS alone; nothing reads a memory
"""

from __future__ import annotations

from torch import Tensor, nn

from pcan_model.sipmask.losses import SipMaskLosses, losses
from pcan_model.sipmask.pcan import SipMaskPCAN
from pcan_model.training.targets import GroundTruth


class DetectorStage(nn.Module):
    """The detector on pairs: the reference image teaches the tracking map only."""

    trained: tuple[str, ...] = ("detector.",)

    def __init__(self, net: SipMaskPCAN) -> None:
        super().__init__()
        self.net = net
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and name.startswith(self.trained))

    def forward(self, images: Tensor, targets: list[GroundTruth]) -> SipMaskLosses:
        """Compute the losses of B pairs; images (2B, H, W, 3) uint8 RGB, keys before references."""
        pairs, head = len(images) // 2, self.net.head
        levels = self.net.features(images)
        maps = head([level[:pairs] for level in levels])
        reference = head.track_map([level[pairs:] for level in levels])
        return losses(maps, reference, targets[:pairs], targets[pairs:], self.net.config.sipmask)


STAGES: dict[str, type[DetectorStage]] = {"detector": DetectorStage}
