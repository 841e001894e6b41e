"""PCAN on SipMask.

Frame attention works on P3 to P5 behind the pyramid, and all towers see what it makes of them. P6 and P7
are made of P5 before it reads its memory. Instance attention reads regions of the fused levels and starts
from the basis masks there. Both begin at zero, so that an untrained PCAN is SipMask bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from pcan_model.core.config import Config, ConfigError
from pcan_model.model.backbone import Backbone
from pcan_model.model.detector import Pool
from pcan_model.model.found import Found, best_of
from pcan_model.model.pcan import PCAN
from pcan_model.sipmask.boxes import cell_points
from pcan_model.sipmask.decode import cut
from pcan_model.sipmask.embeddings import embeddings
from pcan_model.sipmask.flat_maps import flatten
from pcan_model.sipmask.head import HeadMaps, SipMaskHead
from pcan_model.sipmask.network import SipMask
from pcan_model.sipmask.region_masks import region_masks
from pcan_model.sipmask.strides import STRIDES

CANDIDATES = 400  # pairs of cell and class that compete in the suppression
REGION_LEVELS = 4  # that regions are read from: P3 to P6


@dataclass(frozen=True, slots=True, eq=False)
class SipMaskFound(Found):
    """Detections with embeddings and initial masks from the head."""

    embeds: Tensor  # (D, E)
    masks: Tensor  # (D, 2S, 2S) logits of the initial masks

    @property
    def mask_source(self) -> Tensor:
        """Return the initial masks, which need no regions."""
        return self.masks


class SipMaskPCAN(PCAN):
    """SipMask with frame and instance attention."""

    finest = 3
    mask_source = "mask_logits"

    def _make_detector(self, config: Config) -> None:
        self.detector = SipMask(config)

    def class_layers(self) -> tuple[str, ...]:
        """Raise ConfigError: the masks of SipMask depend on its class layers."""
        raise ConfigError(f"{self.config.name}: detector: expected mask_rcnn or yolox for other classes")

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        """Return the detector's."""
        return self.detector.backbone

    @property
    def head(self) -> SipMaskHead:
        """Return the detector's."""
        return self.detector.head

    def normalise(self, images: Tensor) -> Tensor:
        """Turn images (B, H, W, 3) uint8 RGB into what the backbone takes, (B, 3, H, W)."""
        return self.detector.arrange(super().normalise(images))

    def features(self, images: Tensor) -> list[Tensor]:
        """Return P3 to P7 of images (B, H, W, 3) uint8 RGB, before any memory is read."""
        fine, coarse = self.detector.levels(self.normalise(images))
        return fine + coarse

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that are trained at `train.backbone_rate`."""
        return list(self.backbone.parameters())

    def level_sizes(self) -> list[tuple[int, int]]:
        """Return height and width of the levels that regions are read from."""
        size = self.config.input
        return [(-(-size.height // stride), -(-size.width // stride)) for stride in STRIDES[:REGION_LEVELS]]

    def region_levels(self, levels: list[Tensor]) -> list[Tensor]:
        """Return P3 to P6."""
        return levels[:REGION_LEVELS]

    def region_boxes(self, boxes: Tensor) -> Tensor:
        """Return boxes at half their size, as if P3 were P2."""
        return boxes / 2

    def detect(self, levels: list[Tensor], pool: Pool, *, sampled: bool = False) -> Found:
        """Return the best D detections; sampled: align features by sampling instead of by the operator.

        One step of the suppression is fast NMS, which is always converged; more approach the greedy one.
        """
        maps: HeadMaps = self.head(levels, sampled=sampled)
        boxes, scores, labels, cells = self._candidates(maps)
        found, order = best_of(boxes, scores, labels, self.config)
        converged = found.converged | torch.tensor(self.config.proposals.nms_steps == 1)
        coefficients = flatten(maps).coefficients[0, cells[order]]
        return SipMaskFound(
            found.boxes,
            found.scores,
            found.labels,
            converged,
            embeddings(maps.track[0], found.boxes),
            self.masks_of(maps.basis[0], coefficients, found.boxes),
        )

    def _candidates(self, maps: HeadMaps) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return boxes (N, 4), scores, labels and cells (N,) of the best pairs of cell and class."""
        rows, size = flatten(maps), self.config.input
        scores = rows.scores()[0]
        best, order = scores.flatten().topk(min(CANDIDATES, scores.numel()))
        cells, labels = order // scores.shape[1], order % scores.shape[1]
        boxes = rows.boxes(self.points(maps))[0, cells]
        return cut(boxes, (size.height, size.width)), best, labels, cells

    def points(self, maps: HeadMaps) -> Tensor:
        """Return the points (P, 2) of the cells of all levels."""
        sizes = [(x.shape[2], x.shape[3]) for x in maps.logits]
        points = [cell_points(h, w, stride) for (h, w), stride in zip(sizes, STRIDES, strict=True)]
        return torch.cat(points).to(maps.basis.device)

    def masks_of(self, basis: Tensor, coefficients: Tensor, boxes: Tensor) -> Tensor:
        """Return logits (R, 2S, 2S) of basis masks (M, h, w) on boxes (R, 4), with coefficients (R, 4 M)."""
        return region_masks(basis, coefficients, boxes, 2 * self.config.heads.mask_size)

    def embed(self, found: Found, pool: Pool) -> Tensor:
        """Return embeddings (D, E): the tracking map at the middles of the boxes."""
        return cast(SipMaskFound, found).embeds

    def initial_masks(self, regions: Tensor, source: Tensor) -> Tensor:
        """Return `source`, the masks that the head computed."""
        return source
