"""Training stages of one-stage PCAN on YOLOX, in order.

regions  masks, embeddings and instance attention, on the frozen detector without frame attention
memory   these and frame attention; the frozen detector must find its objects in the resulting features
classes  the rows of the last class layer for `train.new_classes`, or for classes that COCO lacks (rider);
         everything else is frozen
whole    everything, with the detector at `train.backbone_rate`
"""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from pcan_model.core.config import ConfigError
from pcan_model.model.boxes import clip
from pcan_model.model.roi_pooling import pool_by_level
from pcan_model.one_stage.cells import Cells, decode_cells
from pcan_model.one_stage.pcan import YoloxPCAN
from pcan_model.one_stage.yolox import LevelHead
from pcan_model.training.losses import Losses
from pcan_model.training.one_stage.convert_yolox import UNKNOWN
from pcan_model.training.one_stage.detection_losses import detection_losses, new_class_loss
from pcan_model.training.roi_sampling import sample_regions
from pcan_model.training.targets import GroundTruth
from pcan_model.training.training_pass import TrainingPass

REGIONS = ("lateral.", "mask_head.", "embedding_head.", "instance_attention.")
JITTER = 0.08  # of a box's sides; noise on true boxes, which are regions in addition to the detector's
COPIES = 2  # jittered copies of every true box
ASLEEP, WAKE = -12.0, 19.0  # a class bias below ASLEEP is raised by WAKE
PROPOSED = 0.05  # minimum score of a detection to be used as a region


class RegionsStage(TrainingPass):
    """Trains masks, embeddings and instance attention on the frozen detector, without frame attention."""

    trained: tuple[str, ...] = REGIONS

    def __init__(self, net: YoloxPCAN) -> None:
        super().__init__(net)
        self.detector = net
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(name.startswith(self.trained))

    def forward(self, images: Tensor, targets: list[GroundTruth]) -> Losses:
        """Compute the losses of B clips; arguments as for TrainingPass."""
        levels = self._look(images)
        newest = self._newest(levels)
        with torch.no_grad():
            boxes = proposed(self.detector, newest, self.detector.cells(newest))
        masks, embedding, auxiliary, refined = self._region_losses(levels, boxes, targets)
        zero = masks.detach() * 0
        return Losses(zero, zero, zero, zero, masks, embedding, auxiliary, refined)

    def _look(self, images: Tensor) -> list[Tensor]:
        """Return the pyramid of images; only P2 has gradients."""
        net = self.detector
        with torch.no_grad():
            finest, levels = net.trunk(images)
        return net.complete([net.lateral(finest), *levels])

    def _region_losses(
        self, levels: list[Tensor], boxes: list[Tensor], targets: list[GroundTruth]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the losses of initial masks, embeddings, their cosines, and refined masks."""
        train, heads = self.net.config.train, self.net.config.heads
        pairs = targets[: self._judged(len(targets))]
        near = [torch.cat([own, jitter(target.boxes)]) for own, target in zip(boxes, pairs, strict=True)]
        regions = sample_regions(near, pairs, train)
        newest = self._newest(levels)
        features = pool_by_level(newest, regions.boxes, regions.image_index, heads.box_size)
        masks, refined = self._mask_losses(levels, self._outlined(regions, targets), targets)
        embedding, auxiliary = self._embedding_losses(features, regions, pairs)
        return masks, embedding, auxiliary, refined


class MemoryStage(RegionsStage):
    """Also trains frame attention."""

    trained: tuple[str, ...] = (*REGIONS, "frame_attention.")

    def forward(self, images: Tensor, targets: list[GroundTruth]) -> Losses:
        """Compute the losses of B clips; arguments as for TrainingPass."""
        seen, before = self._see(images)
        levels = self._read_references(seen)
        newest, judged = self._newest(levels), self._judged(len(targets))
        cells = self.detector.cells(newest)
        places = self.detector.grid(newest)
        objectness, classes, corners = detection_losses(cells, places, targets[:judged], before[:judged])
        boxes = proposed(self.detector, newest, cells)
        masks, embedding, auxiliary, refined = self._region_losses(levels, boxes, targets)
        zero = masks.detach() * 0
        return Losses(objectness, zero, classes, corners, masks, embedding, auxiliary, refined)

    def _see(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return P2..P5 before the memory is read, and the best score of each cell without it, (B, A)."""
        net = self.detector
        with torch.no_grad():
            finest, levels = net.trunk(images)
            before = net.cells([finest, *levels]).scores().amax(-1)
        return [net.lateral(finest), *levels], before


class ClassesStage(MemoryStage):
    """Trains the scores of new classes; those of all other classes stay bitwise identical.

    Requires `train.weight_decay: 0`, because decay would change the other rows of the layer.
    """

    def __init__(self, net: YoloxPCAN) -> None:
        super().__init__(net)
        new = net.config.train.new_classes or tuple(UNKNOWN)
        self._new = torch.tensor([name in new for name in net.config.classes])
        self._awake = False
        if not self._new.any():
            raise ConfigError(f"train.stage classes: expected a class of {', '.join(new)}, got none")
        if net.config.train.weight_decay:
            raise ConfigError(
                f"train.weight_decay: expected 0 with stage classes, got {net.config.train.weight_decay}"
            )
        for parameter in net.parameters():
            parameter.requires_grad_(False)
        for head in net.heads:
            for parameter in cast(LevelHead, head).classes.parameters():
                parameter.requires_grad_(True)
                parameter.register_hook(self._new_rows)

    def forward(self, images: Tensor, targets: list[GroundTruth]) -> Losses:
        """Compute the losses of B clips; arguments as for TrainingPass."""
        if not self._awake:  # weights are loaded after a stage is made
            wake(self.detector)
            self._awake = True
        with torch.no_grad():
            levels = self._newest(self._read_references(self._see(images)[0]))
        cells = self.detector.cells(levels)
        loss = new_class_loss(
            cells, self.detector.grid(levels), targets[: self._judged(len(targets))], self._new
        )
        zero = loss.detach() * 0
        return Losses(zero, zero, loss, zero, zero, zero, zero, zero)

    def _new_rows(self, gradient: Tensor) -> Tensor:
        """Return the gradient of a class layer's weight or bias for the new classes only."""
        return gradient * self._new.to(gradient.device).view(-1, *[1] * (gradient.dim() - 1))


class WholeStage(MemoryStage):
    """Also trains the detector; `before` are its scores when this stage started or was resumed."""

    trained: tuple[str, ...] = ("",)
    _before: tuple[YoloxPCAN, ...] = ()  # one; a tuple hides it from nn.Module, so that it is not trained

    def _see(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """As in MemoryStage, with the scores of the initial detector."""
        if not self._before:  # weights are loaded after a stage is made
            self._before = (deepcopy(self.detector).eval().requires_grad_(False),)
            wake(self.detector)
        (old,) = self._before
        with torch.no_grad():
            before = old.cells(old.features(images)).scores().amax(-1)
        return self._features(images), before


@torch.no_grad()
def wake(net: YoloxPCAN) -> None:
    """Raise the bias of classes that COCO lacks, so that they start just below their COCO counterpart."""
    for head in net.heads:
        bias = cast(LevelHead, head).classes.bias
        assert bias is not None
        bias.add_(WAKE * (bias < ASLEEP))


@torch.no_grad()
def proposed(net: YoloxPCAN, levels: list[Tensor], cells: Cells) -> list[Tensor]:
    """Return the detections of each image, at most `train.proposals` boxes (P, 4)."""
    size = 4 * levels[0].shape[-2], 4 * levels[0].shape[-1]
    boxes = clip(decode_cells(cells.offsets.float(), net.grid(levels)), size)
    scores, labels = cells.scores().float().max(-1)
    found = []
    for own, score, label in zip(boxes, scores, labels, strict=True):
        likely = (score > PROPOSED).nonzero()[:, 0]
        likely = likely[score[likely].topk(min(len(likely), 4 * net.config.train.proposals)).indices]
        kept = batched_nms(own[likely], score[likely], label[likely], 0.7)[: net.config.train.proposals]
        found.append(own[likely][kept])
    return found


def jitter(boxes: Tensor) -> Tensor:
    """Return jittered copies of boxes (N, 4), (COPIES * N, 4)."""
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(COPIES, 2)
    return boxes.repeat(COPIES, 1) + sides * JITTER * torch.randn_like(sides).clamp(-2, 2)


STAGES: dict[str, type[RegionsStage]] = {
    "regions": RegionsStage,
    "memory": MemoryStage,
    "classes": ClassesStage,
    "whole": WholeStage,
}
