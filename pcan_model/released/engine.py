"""Engine of the released variant, with its memory as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcan_model.core.config import Config
from pcan_model.core.engine import Engine, EngineFacts, Image
from pcan_model.core.structures import Detections, Slots
from pcan_model.model import checkpoint
from pcan_model.released.frame_memory import Bank
from pcan_model.released.network import ReleasedFramePass, ReleasedPCAN
from pcan_model.released.refinement import Contrast, MaskedRegions


@dataclass(frozen=True, slots=True, eq=False)
class ReleasedMemory:
    """One camera's memory."""

    bank: Bank  # of images of one size; cleared if the size changes
    size: tuple[int, ...]  # (height, width) of those images
    start: Contrast  # initial prototypes of instance EM; the stored ones without drift
    matched: Mapping[int, MaskedRegions] = field(default_factory=dict)  # last matched region by bank row


@dataclass(frozen=True, slots=True, eq=False)
class ReleasedFeatures:
    """Outputs of the frame pass for the refinement."""

    regions: MaskedRegions  # of the N detections
    bank: Bank  # including this frame
    size: tuple[int, ...]  # (height, width) of the image


class ReleasedEngine(Engine):
    """Engine for a network in memory, or for a checkpoint file."""

    def __init__(self, config: Config, weights: Path | ReleasedPCAN) -> None:
        self.config = config
        net = weights if isinstance(weights, ReleasedPCAN) else ReleasedPCAN(config)
        if isinstance(weights, Path):
            checkpoint.load_weights(weights, net)
        self.net = net.eval()
        self.drift_rate = config.released.drift_rate if config.released.drift else 0.0
        self.rows_of = unique_rows if config.instance_attention.enabled else no_rows
        self.frame_pass = ReleasedFramePass(net).eval()

    @property
    def facts(self) -> EngineFacts:
        """Return the version of torch."""
        return EngineFacts("torch", f"torch {torch.__version__}, CPU", "fp32")

    def start(self, camera: int = 0) -> ReleasedMemory:
        """Return the memory of a camera before its first frame."""
        return ReleasedMemory(Bank(), (0, 0), self.net.refine.prototypes.start())

    @torch.inference_mode()
    def detect(self, image: Image, memory: ReleasedMemory) -> tuple[Detections, ReleasedFeatures]:
        """Detect the objects in one image (H, W, 3) uint8 RGB, already resized."""
        size = image.shape[:2]
        bank = memory.bank if size == memory.size else Bank()
        found, bank = self.frame_pass(torch.from_numpy(image)[None], bank)
        boxes, scores, labels, embeds = (
            x.numpy() for x in (found.boxes, found.scores, found.labels, found.embeds)
        )
        detections = Detections(boxes, scores, labels, embeds, np.arange(len(scores)))
        return detections, ReleasedFeatures(found.regions, bank, size)

    @torch.inference_mode()
    def segment(
        self, features: ReleasedFeatures, slots: Slots, memory: ReleasedMemory, *, remember: bool
    ) -> tuple[NDArray[np.float32], ReleasedMemory]:
        """Refine the masks of the N detections; duplicates keep their initial mask.

        returns  (N, 2S, 2S) logits, and the next memory
        """
        regions = features.regions
        rows = self.rows_of(slots, len(regions.masks))
        current = MaskedRegions(regions.features[rows], regions.masks[rows])
        reference = _references(current, rows, slots, memory)
        refined, prototypes = self.net.refine(reference, current, memory.start)
        masks = regions.masks.clone()
        masks[rows] = refined
        start = memory.start.moved(prototypes, self.drift_rate)
        following = replace(memory, matched=_update_matched(regions, slots, memory), start=start)
        if remember:
            following = replace(following, bank=features.bank, size=features.size)
        return masks.numpy(), following


def unique_rows(slots: Slots, count: int) -> Tensor:
    """Return the rows of the `count` detections that are not duplicates, which are refined."""
    if slots.kept is None:
        return torch.arange(count)
    return torch.from_numpy(slots.kept[:count]).nonzero()[:, 0]


def no_rows(slots: Slots, count: int) -> Tensor:
    """Return no rows, to refine nothing."""
    return torch.zeros(0, dtype=torch.long)


def _references(current: MaskedRegions, rows: Tensor, slots: Slots, memory: ReleasedMemory) -> MaskedRegions:
    """Return the last matched region of each current region's track, or the region itself if new."""
    features, masks = current.features.clone(), current.masks.clone()
    for i, row in enumerate(rows.tolist()):
        if not slots.fresh[row]:
            last = memory.matched[int(slots.slot[row])]
            features[i], masks[i] = last.features[0], last.masks[0]
    return MaskedRegions(features, masks)


def _update_matched(
    regions: MaskedRegions, slots: Slots, memory: ReleasedMemory
) -> Mapping[int, MaskedRegions]:
    """Return the last matched regions updated by this frame."""
    matched = dict(memory.matched)
    for row in np.flatnonzero(slots.has).tolist():
        own = int(slots.owner[row])
        matched[row] = MaskedRegions(
            regions.features[own : own + 1].clone(), regions.masks[own : own + 1].clone()
        )
    return matched
