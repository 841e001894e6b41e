"""Assignment of anchors and regions to objects, sampling, and mask targets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import roi_align

from pcan_model.model.boxes import overlaps

BACKGROUND, UNUSED = -1, -2


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """Ground truth of one training image with N objects; N may be 0."""

    boxes: Tensor  # (N, 4) float32, x1 y1 x2 y2 pixels
    labels: Tensor  # (N,) int64, index into Config.classes
    ids: Tensor  # (N,) int64, identity within the clip
    masks: Tensor  # (N, H, W) bool; empty where only the box is known
    ignore: Tensor  # (H, W) bool, neither object nor background

    @property
    def outlined(self) -> Tensor:
        """Whether each object has a ground-truth mask, (N,) bool."""
        return self.masks.flatten(1).any(1)

    def to(self, device: torch.device) -> GroundTruth:
        """Return a copy on another device."""
        tensors = (self.boxes, self.labels, self.ids, self.masks, self.ignore)
        return GroundTruth(*(t.to(device, non_blocking=True) for t in tensors))


def match(candidates: Tensor, target: GroundTruth, *, high: float, low: float, rescue: bool) -> Tensor:
    """Assign each candidate box to an object.

    candidates (A, 4)
    high, low  overlap from which a box is the object's, and under which it is background
    rescue     whether an object nobody reaches gets its best candidates, if they overlap it by `low`
    returns    (A,) int64: index of the object, BACKGROUND or UNUSED; a would-be background box
               that lies more than half in an ignore region is UNUSED
    """
    found = torch.full((len(candidates),), BACKGROUND, device=candidates.device)
    if len(target.boxes):
        iou = overlaps(candidates, target.boxes)  # (A, N)
        best, index = iou.max(1)
        found = torch.where(best >= high, index, torch.where(best < low, BACKGROUND, UNUSED))
        if rescue:
            most = iou.max(0).values
            rescued = (iou == most) & (most >= low) & (most < high)  # (A, N)
            found = torch.where(rescued.any(1), (iou * rescued).argmax(1), found)
    hidden = ignored_share(candidates, target.ignore) > 0.5
    return torch.where((found == BACKGROUND) & hidden, UNUSED, found)


def ignored_share(boxes: Tensor, ignore: Tensor) -> Tensor:
    """Share of each box (A, 4) that lies in the ignore region (H, W), by an integral image: (A,)."""
    height, width = ignore.shape
    table = torch.zeros(height + 1, width + 1, device=ignore.device)
    table[1:, 1:] = ignore.float().cumsum(0).cumsum(1)
    x1, y1, x2, y2 = boxes.round().long().unbind(1)
    x1, x2 = x1.clamp(0, width), x2.clamp(0, width)
    y1, y2 = y1.clamp(0, height), y2.clamp(0, height)
    inside = table[y2, x2] - table[y1, x2] - table[y2, x1] + table[y1, x1]
    return inside / (boxes[:, 2:] - boxes[:, :2]).prod(1).clamp_min(1)


def sample(found: Tensor, count: int, positives: float) -> tuple[Tensor, Tensor]:
    """Sample at most `count` candidates, at most the share `positives` of them positives.

    returns  indices of the chosen objects and of the chosen background
    """
    chosen = _draw(found >= 0, int(count * positives))
    return chosen, _draw(found == BACKGROUND, count - len(chosen))


def _draw(flags: Tensor, count: int) -> Tensor:
    index = flags.nonzero()[:, 0]
    return index[torch.randperm(len(index), device=index.device)[:count]]


def mask_targets(masks: Tensor, boxes: Tensor, index: Tensor, size: int) -> Tensor:
    """Return the mask targets of R regions.

    masks (N, H, W) bool, boxes (R, 4), index (R,) the object of each region
    returns (R, size, size) float, 0 or 1
    """
    if not len(boxes):
        return torch.zeros(0, size, size, device=boxes.device)
    rois = torch.cat([index.to(boxes.dtype)[:, None], boxes], 1)
    return (roi_align(masks[:, None].float(), rois, size, 1.0, -1, True)[:, 0] >= 0.5).float()
