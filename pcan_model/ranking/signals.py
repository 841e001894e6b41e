"""Signals of an unsure model, per frame; each is larger for a frame that deserves a look."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from pcan_model.core import rle
from pcan_model.core.structures import Slots, Tracks, TrackState


@dataclass(frozen=True, slots=True)
class Signals:
    """Signals of one frame, in [0, 1] except `jump`; 0 for a frame without objects."""

    prototypes: float = 0.0  # likeness of foreground and background prototypes, mean of the objects
    jump: float = 0.0  # movement of the prototypes by Eq. 8, mean of the continued tracks
    memory: float = 0.0  # change of the masks if tracks and frames before are forgotten
    churn: float = 0.0  # share of tracks that begin or get lost
    sizes: float = 0.0  # change of the masks with another input size
    scores: float = 0.0  # doubt of the detections, also of those too weak for a track, mean

    def values(self) -> list[float]:
        """Return the signals in their order."""
        return [float(getattr(self, field.name)) for field in fields(self)]


NAMES = tuple(field.name for field in fields(Signals))


def prototype_likeness(bank: NDArray[Any], slots: Slots, foreground: int) -> float:
    """Return how similar foreground and background prototypes are, in [0, 1].

    bank        (M, K, D)  after the frame, foreground first; Eq. 3 takes the nearest of each group, so that a
                pixel near both is undecided
    slots       of the frame; rows without a detection do not count
    foreground  number of foreground prototypes
    """
    rows = bank[np.flatnonzero(slots.has)].astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)
    ours, others = rows[:, :foreground], rows[:, foreground:]
    if not (ours.size and others.size):
        return 0.0
    nearest = np.einsum("mfd,mbd->mfb", ours, others).max(-1)  # (objects, foreground), cosines
    return float(np.clip(nearest.mean(), 0.0, 1.0))


def prototype_jump(before: NDArray[Any], after: NDArray[Any], slots: Slots) -> float:
    """Return the mean distance that Eq. 8 moved the prototypes of tracks continued in this frame.

    before, after  (M, K, D)  the bank
    """
    owned = np.flatnonzero(slots.has)
    continued = owned[slots.fresh[slots.owner[owned]] == 0]
    if not len(continued):
        return 0.0
    moved = after[continued].astype(np.float64) - before[continued]
    return float(np.linalg.norm(moved, axis=-1).mean())


def score_doubt(scores: NDArray[Any]) -> float:
    """Return the mean doubt of detections: 1 for a score of 0.5, 0 for scores of 0 and 1."""
    return float((1 - np.abs(2 * scores - 1)).mean()) if len(scores) else 0.0


def churn(tracks: Tracks) -> float:
    """Return the share of a frame's tracks that begin in it or are missed for the first time."""
    changed = sum(
        track.state == TrackState.NEW or (track.state == TrackState.LOST and track.time_since_update == 1)
        for track in tracks.instances
    )
    if not tracks.frame_index:
        return 0.0  # in the first frame every track is new
    return changed / max(1, len(tracks.instances))


def disagreement(tracks: Tracks, others: Tracks) -> float:
    """Return 1 minus the mean mask IoU of two results for the same image, matched one to one.

    An object of one result without a partner in the other counts as IoU 0; classes are not compared.
    """
    ours, theirs = masks_of(tracks), masks_of(others)
    count = max(len(ours), len(theirs))
    if not ours or not theirs:
        return float(count > 0)
    iou, total = np.array(coco_mask.iou(ours, theirs, [0] * len(theirs))), 0.0
    while iou.size and iou.max() > 0:
        row, column = np.unravel_index(iou.argmax(), iou.shape)
        total += float(iou[row, column])
        iou = np.delete(np.delete(iou, row, 0), column, 1)
    return 1.0 - total / count


def masks_of(tracks: Tracks) -> list[rle.Rle]:
    """Return the run lengths of the objects that were found and have visible pixels."""
    found = [each.mask.full(tracks.height, tracks.width) for each in tracks.found() if each.mask.area]
    return [coco_mask.encode(np.asfortranarray(mask)) for mask in found]
