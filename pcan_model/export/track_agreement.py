"""Agreement of two engines' tracks on the same clip: the cost of quantisation, without labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.geometry import box_iou
from pcan_model.core.structures import TrackedInstance, Tracks
from pcan_model.evaluation.metrics.comparison import best_pairs, encode, overlaps


@dataclass(frozen=True, slots=True)
class TrackAgreement:
    """Objects of an engine matched with those of a reference."""

    objects: int  # of the reference, over all frames
    extra: int  # unmatched objects of the engine
    box_ious: tuple[float, ...]  # of matched objects: same class, box IoU >= 0.5
    mask_ious: tuple[float, ...]  # of the same pairs

    def __add__(self, other: TrackAgreement) -> TrackAgreement:
        return TrackAgreement(
            self.objects + other.objects,
            self.extra + other.extra,
            self.box_ious + other.box_ious,
            self.mask_ious + other.mask_ious,
        )

    def __str__(self) -> str:
        matched = len(self.box_ious)
        ious = self.box_ious, self.mask_ious
        box, mask = (f"{np.mean(values):.3f}" if matched else "-" for values in ious)
        return (
            f"{matched} of {self.objects} objects, {self.extra} others; mean IoU: boxes {box}, masks {mask}"
        )


def track_agreement(predicted: Iterable[Tracks], reference: Iterable[Tracks]) -> TrackAgreement:
    """Match an engine's objects with the reference's in each frame of a clip."""
    frames = [_frame(*pair) for pair in zip(predicted, reference, strict=True)]
    return sum(frames, TrackAgreement(0, 0, (), ()))


def _frame(predicted: Tracks, reference: Tracks) -> TrackAgreement:
    ours, theirs = predicted.found(), reference.found()
    same = np.array([[a.label == b.label for b in theirs] for a in ours]).reshape(len(ours), len(theirs))
    boxes = box_iou(_boxes(ours), _boxes(theirs)).astype(np.float64)
    rows, columns = best_pairs(np.where(same, boxes, 0.0))
    rles = [encode(i.mask.full(predicted.height, predicted.width) for i in side) for side in (ours, theirs)]
    masks = overlaps(list(rles[0]), list(rles[1]), crowd=False)
    both = (tuple(ious[rows, columns].tolist()) for ious in (boxes, masks))
    return TrackAgreement(len(theirs), len(ours) - len(rows), *both)


def _boxes(instances: Sequence[TrackedInstance]) -> NDArray[np.float32]:
    return np.array([i.box for i in instances], np.float32).reshape(-1, 4)
