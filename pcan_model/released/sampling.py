"""How the released training draws regions: true boxes first, and tracks by turns of the objects."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pcan_model.training.roi_sampling import SampledRegions
from pcan_model.training.targets import BACKGROUND, GroundTruth, match


@dataclass(frozen=True, slots=True)
class Drawing:
    """What counts as an object, and how many regions of an image are drawn."""

    high: float  # overlap from which a box shows an object
    low: float  # overlap below which it is background
    count: int  # regions
    positives: float  # largest share of objects
    balanced: bool = False  # objects take turns, however many boxes each has
    ratio: float = float("inf")  # most background regions per object region


REGION = Drawing(high=0.5, low=0.5, count=512, positives=0.25)
TRACK = Drawing(high=0.7, low=0.3, count=256, positives=0.5, balanced=True, ratio=3.0)


def draw(proposals: Tensor, target: GroundTruth, image_index: int, how: Drawing) -> SampledRegions:
    """Draw regions of one image from its true boxes and its proposals (P, 4), in that order."""
    boxes = torch.cat([target.boxes, proposals])
    found = match(boxes, target, high=how.high, low=how.low, rescue=False)
    positive = _positives(found, int(how.count * how.positives), how.balanced)
    room = how.count - len(positive)
    room = min(room, int(how.ratio * max(len(positive), 1))) if how.ratio < float("inf") else room
    index = torch.cat([positive, _some((found == BACKGROUND).nonzero()[:, 0], room)])
    return SampledRegions(boxes[index], torch.full_like(index, image_index), found[index])


def _positives(found: Tensor, count: int, balanced: bool) -> Tensor:
    """Draw at most `count` boxes that show objects."""
    index = (found >= 0).nonzero()[:, 0]
    if len(index) <= count or not balanced:
        return _some(index, count)
    objects = found[index].unique()
    each = round(count / len(objects)) + 1
    chosen = torch.cat([_some(index[found[index] == k], each) for k in objects])
    rest = index[~torch.isin(index, chosen)]
    return _some(torch.cat([chosen, _some(rest, max(0, count - len(chosen)))]), count)


def _some(index: Tensor, count: int) -> Tensor:
    """Draw at most `count` rows, in their order."""
    if len(index) <= count:
        return index
    return index[torch.randperm(len(index), device=index.device)[:count].sort().values]
