"""Training stages of the two-stage detector, with frozen backbone and pyramid.

Both start from a trained detector (`pcan-train --weights`), whose modules may be drawn anew (`--fresh`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcan_model.model.pcan import PCAN
from pcan_model.training.losses import Losses
from pcan_model.training.mask_losses import MaskRegions, mask_loss, mask_regions, refine
from pcan_model.training.roi_sampling import sample_regions
from pcan_model.training.targets import GroundTruth
from pcan_model.training.training_pass import TrainingPass

TRAINED = {  # leading names of the parameters that each stage trains
    "heads": ("frame_attention.", "proposals.", "box_head.", "mask_head.", "embedding_head."),
    "instance": ("instance_attention.",),
}


class Stage(TrainingPass):
    """Freezes all parameters but those of the configuration's stage."""

    def __init__(self, net: PCAN) -> None:
        super().__init__(net)
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(name.startswith(TRAINED[net.config.train.stage]))


class HeadsStage(Stage):
    """Trains frame attention and all heads, without mask refinement."""

    def _refined_loss(self, shown: MaskRegions) -> Tensor:
        return shown.initial.sum() * 0


class InstanceStage(Stage):
    """Trains the instance attention alone, on regions that do not depend on it."""

    def forward(self, images: Tensor, targets: list[GroundTruth]) -> Losses:
        """Compute the losses of B clips; arguments as for TrainingPass."""
        return self.judge(self.look(images, targets))

    @torch.no_grad()
    def look(self, images: Tensor, targets: list[GroundTruth]) -> MaskRegions:
        """Return the training regions, which do not depend on the instance attention."""
        levels = self._read_references(self.net.features(images))
        _, boxes = self._propose(self._newest(levels))
        regions = sample_regions(boxes, targets[: self._judged(len(targets))], self.net.config.train)
        return mask_regions(self.net, levels, self._outlined(regions, targets), targets)

    def judge(self, shown: MaskRegions) -> Losses:
        """Return the losses of regions; that of the initial masks is for comparison only."""
        attention = self.net.instance_attention
        if len(shown):
            refined = mask_loss(refine(attention, shown), shown)
        else:
            refined = torch.stack([p.sum() * 0 for p in attention.parameters()]).sum()
        masks = mask_loss(shown.initial, shown)
        zero = refined.detach() * 0
        return Losses(zero, zero, zero, zero, masks, zero, zero, refined)


STAGES: dict[str, type[TrainingPass]] = {
    "joint": TrainingPass,
    "heads": HeadsStage,
    "instance": InstanceStage,
}
