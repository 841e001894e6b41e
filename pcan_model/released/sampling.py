"""Sampling of training regions as in the released code: ground-truth boxes first, optionally balanced."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pcan_model.training.roi_sampling import SampledRegions
from pcan_model.training.targets import BACKGROUND, GroundTruth, match


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Thresholds and numbers of the sampled regions of an image."""

    high: float  # minimum IoU of positives
    low: float  # IoU below which regions are negatives
    count: int  # number of regions
    positives: float  # maximum share of positives
    balanced: bool = False  # sample about the same number of positives for each object
    ratio: float = float("inf")  # maximum number of negatives per positive


REGION = SamplingOptions(high=0.5, low=0.5, count=512, positives=0.25)
TRACK = SamplingOptions(high=0.7, low=0.3, count=256, positives=0.5, balanced=True, ratio=3.0)


def sample_rois(
    proposals: Tensor, target: GroundTruth, image_index: int, how: SamplingOptions
) -> SampledRegions:
    """Sample regions of one image from its ground-truth boxes and its proposals (P, 4), in that order."""
    boxes = torch.cat([target.boxes, proposals])
    found = match(boxes, target, high=how.high, low=how.low, rescue=False)
    positive = _positives(found, int(how.count * how.positives), how.balanced)
    room = how.count - len(positive)
    room = min(room, int(how.ratio * max(len(positive), 1))) if how.ratio < float("inf") else room
    index = torch.cat([positive, _random_subset((found == BACKGROUND).nonzero()[:, 0], room)])
    return SampledRegions(boxes[index], torch.full_like(index, image_index), found[index])


def _positives(found: Tensor, count: int, balanced: bool) -> Tensor:
    """Sample at most `count` positives."""
    index = (found >= 0).nonzero()[:, 0]
    if len(index) <= count or not balanced:
        return _random_subset(index, count)
    objects = found[index].unique()
    each = round(count / len(objects)) + 1
    chosen = torch.cat([_random_subset(index[found[index] == k], each) for k in objects])
    rest = index[~torch.isin(index, chosen)]
    return _random_subset(torch.cat([chosen, _random_subset(rest, max(0, count - len(chosen)))]), count)


def _random_subset(index: Tensor, count: int) -> Tensor:
    """Sample at most `count` rows, in order."""
    if len(index) <= count:
        return index
    return index[torch.randperm(len(index), device=index.device)[:count].sort().values]
