"""Training stages of SipMask and of PCAN on it, in order.

detector  SipMask-VIS alone; nothing reads a memory
memory    the detector with frame attention
instance  the instance module alone, on a detector and a frame attention that stay as they are
joint     all of them
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from pcan_model.model.instance_attention import NoInstanceAttention
from pcan_model.sipmask.head import HeadMaps
from pcan_model.sipmask.losses import SipMaskLosses, losses
from pcan_model.sipmask.mask_regions import clip_regions, found_objects
from pcan_model.sipmask.pcan import SipMaskPCAN
from pcan_model.training.clip_memory import clip_features, read_past
from pcan_model.training.mask_losses import MaskRegions, mask_loss, refine
from pcan_model.training.targets import GroundTruth


class DetectorStage(nn.Module):
    """Trains the detector; references have the match loss only."""

    trained: tuple[str, ...] = ("detector.",)

    def __init__(self, net: SipMaskPCAN) -> None:
        super().__init__()
        self.net = net
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and name.startswith(self.trained))

    def forward(self, images: Tensor, targets: list[GroundTruth]) -> SipMaskLosses:
        """Compute the losses of B clips; images (T * B, H, W, 3) uint8 RGB, see `clip_memory`."""
        clips = self._clips(images)
        levels = self.net.features(images[: 2 * clips])
        return self._detector_losses(self._keys(levels, clips), levels, targets)

    def _clips(self, images: Tensor) -> int:
        return len(images) // self.net.config.train.clip_frames

    def _keys(self, levels: list[Tensor], clips: int) -> HeadMaps:
        """Return the head outputs of the keys."""
        maps: HeadMaps = self.net.head([level[:clips] for level in levels])
        return maps

    def _detector_losses(
        self, maps: HeadMaps, levels: list[Tensor], targets: list[GroundTruth]
    ) -> SipMaskLosses:
        clips = len(maps.basis)
        references = slice(clips, 2 * clips)
        track = self.net.head.track_map([level[references] for level in levels])
        return losses(maps, track, targets[:clips], targets[references], self.net.config.sipmask)


class MemoryStage(DetectorStage):
    """Trains the frame attention too: every frame of a clip reads older ones."""

    trained: tuple[str, ...] = ("detector.", "frame_attention.")

    def forward(self, images: Tensor, targets: list[GroundTruth]) -> SipMaskLosses:
        """Compute the losses of B clips, see DetectorStage."""
        levels = self._levels(images)
        return self._detector_losses(self._keys(levels, self._clips(images)), levels, targets)

    def _levels(self, images: Tensor) -> list[Tensor]:
        """Return P3 to P7 of all images, fused with their memories."""
        train = self.net.config.train
        learned = train.clip_gradients * self._clips(images)
        return read_past(self.net, clip_features(self.net.features, images, learned), train.clip_frames)


class JointStage(MemoryStage):
    """Trains detector and both attentions."""

    trained: tuple[str, ...] = ("",)

    def forward(self, images: Tensor, targets: list[GroundTruth]) -> SipMaskLosses:
        """Compute the losses of B clips, see DetectorStage."""
        levels = self._levels(images)
        maps = self._keys(levels, self._clips(images))
        refined = self._refined_loss(self._regions(levels, maps, targets))
        return replace(self._detector_losses(maps, levels, targets), refined=refined)

    def _regions(self, levels: list[Tensor], maps: HeadMaps, targets: list[GroundTruth]) -> MaskRegions:
        """Return the regions of all frames; initial masks of past frames have no gradients."""
        clips = len(maps.basis)
        with torch.no_grad():
            past = found_objects(self.net, self.net.head([x[clips:] for x in levels]), targets[clips:])
        keys = found_objects(self.net, maps, targets[:clips])
        return clip_regions(self.net, levels, keys + past, targets)

    def _refined_loss(self, regions: MaskRegions) -> Tensor:
        """Return the loss of the final masks; 0 without any, or if the instance attention is disabled."""
        attention = self.net.instance_attention
        if isinstance(attention, NoInstanceAttention):
            return regions.initial.sum() * 0
        if not len(regions):
            return torch.stack([p.sum() * 0 for p in attention.parameters()]).sum()
        return mask_loss(refine(attention, regions), regions)


class InstanceStage(JointStage):
    """Trains the instance attention alone; the loss of the initial masks is for comparison."""

    trained: tuple[str, ...] = ("instance_attention.",)

    def forward(self, images: Tensor, targets: list[GroundTruth]) -> SipMaskLosses:
        """Compute the losses of B clips, see DetectorStage."""
        return self.judge(self.look(images, targets))

    @torch.no_grad()
    def look(self, images: Tensor, targets: list[GroundTruth]) -> MaskRegions:
        """Return the training regions, which do not depend on the instance attention."""
        levels = self._levels(images)
        return self._regions(levels, self._keys(levels, self._clips(images)), targets)

    def judge(self, regions: MaskRegions) -> SipMaskLosses:
        """Return the losses of regions."""
        initial = mask_loss(regions.initial, regions).detach()
        zero = torch.zeros_like(initial)
        return SipMaskLosses(zero, zero, zero, initial, zero, self._refined_loss(regions))


STAGES: dict[str, type[DetectorStage]] = {
    "detector": DetectorStage,
    "memory": MemoryStage,
    "instance": InstanceStage,
    "joint": JointStage,
}
