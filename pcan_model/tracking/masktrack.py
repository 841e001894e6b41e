"""MaskTrack R-CNN's association, which SipMask has too: the cues of a match are added up.

Yang et al. 2019, eq. 3: the log-softmax of the embeddings, the detection's score, the IoU and the class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.structures import Detections, Track

NEW, BEATEN = -1, -2  # of a detection: it is a new object; another one matches its object better

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CueWeights:
    """Weights of the cues beside the embeddings, whose weight is 1."""

    score: float = 1.0  # of the logarithm of the detection's score
    iou: float = 2.0
    label: float = 10.0  # of equal classes


class Embedded(Protocol):
    """K objects with embeddings."""

    @property
    def boxes(self) -> Floats:
        """Return x1 y1 x2 y2 in pixels, (K, 4)."""

    @property
    def labels(self) -> Integers:
        """Return the classes, (K,)."""

    @property
    def embeds(self) -> Floats:
        """Return the embeddings, not normalised, (K, E)."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownObjects:
    """The objects that detections are compared with."""

    boxes: Floats  # (K, 4) of their last detection
    labels: Integers  # (K,)
    embeds: Floats  # (K, E)


def match_by_cues(found: Detections, tracks: Sequence[Track], weights: CueWeights) -> Integers:
    """Return the index in `tracks` of each detection, NEW or BEATEN, (N,); both are not empty."""
    known = KnownObjects(
        np.stack([track.box for track in tracks]),
        np.array([track.label for track in tracks], np.int64),
        np.stack([track.embed for track in tracks]),
    )
    scores = matching_scores(found, found.scores, known, weights)
    choice = scores.argmax(1) - 1
    best = best_of_each(choice, scores.max(1), len(tracks))
    beaten = (choice >= 0) & (best[choice] != np.arange(len(found)))
    return np.where(beaten, BEATEN, choice)


def best_of_each(choice: Integers, scores: Floats, objects: int) -> Integers:
    """Return the detection that matches each object best, the first of equals, or NEW, (K,).

    choice  (N,)  object of each detection, or NEW
    """
    best = np.full(objects, NEW, np.int64)
    for row, chosen in enumerate(choice.tolist()):
        if chosen >= 0 and (best[chosen] == NEW or scores[row] > scores[best[chosen]]):
            best[chosen] = row
    return best


def matching_scores(found: Embedded, confidence: Floats, known: Embedded, weights: CueWeights) -> Floats:
    """Score every detection as a new object and as each known one, (N, K + 1).

    The log-softmax of the dot products with the embeddings (0 for a new object), the logarithm of the
    detection's score, the overlap of the boxes and whether the classes are equal.
    """
    likeness = found.embeds @ known.embeds.T
    likeness = np.concatenate([np.zeros((len(confidence), 1), np.float32), likeness], 1)
    likeness = likeness - likeness.max(1, keepdims=True)
    likeness = likeness - np.log(np.exp(likeness).sum(1, keepdims=True))
    overlaps = np.pad(overlap_pixels(found.boxes, known.boxes), ((0, 0), (1, 0)))
    same = np.pad(found.labels[:, None] == known.labels, ((0, 0), (1, 0)), constant_values=True)
    cues: Any = weights.iou * overlaps + weights.label * same
    cues = cues + weights.score * np.log(confidence)[:, None]
    return np.asarray(likeness + cues, np.float32)


def overlap_pixels(a: Floats, b: Floats) -> Floats:
    """Intersection over union of boxes (N, 4) and (K, 4) that hold their border pixels: (N, K)."""
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    shared = np.clip(high - low + 1, 0, None).prod(-1)
    areas = [(x[:, 2:] - x[:, :2] + 1).prod(-1) for x in (a, b)]
    return np.asarray(shared / (areas[0][:, None] + areas[1] - shared), np.float32)
