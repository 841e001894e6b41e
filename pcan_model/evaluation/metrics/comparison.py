"""Matching of a frame's predictions with its ground truth, with masks as run lengths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from pcan_model.core.structures import Tracks
from pcan_model.evaluation.metrics.scores import Recall

Rle = dict[str, Any]  # COCO run lengths: size, counts
MATCH_IOU = 0.5  # minimum mask IoU of a match; HOTA and AP have several thresholds
IGNORED_SHARE = 0.5  # false positives with more than this share in ignored regions do not count
SMALL, LARGE = 500, 2000  # bounds of the size classes, pixels
NEVER = 10_000.0  # cost of a pair below MATCH_IOU: maximises the number of matches, then their IoU


class MissingMetrics(ImportError):
    """TrackEval or SciPy is not installed."""

    def __init__(self, error: ImportError) -> None:
        super().__init__(
            f"evaluation needs TrackEval and SciPy ({error}); install them by\n"
            "  pip install scipy && pip install --no-deps trackeval==1.3.0"
        )


def _no_scores() -> NDArray[np.float64]:
    return np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """N masks in a frame, ground truth or predicted."""

    rles: tuple[Rle, ...]  # (N,) of the whole image
    labels: NDArray[np.int64]  # (N,) index into the data set's classes
    ids: NDArray[np.int64]  # (N,) identity within the clip and the class
    scores: NDArray[np.float64] = field(default_factory=_no_scores)  # (N,) for predictions, else empty
    ignore: tuple[Rle, ...] = ()  # for ground truth: ignored regions, where false positives do not count

    def __post_init__(self) -> None:
        lengths = len(self.rles), len(self.labels), len(self.ids), len(self.scores) or len(self.ids)
        if len(set(lengths)) > 1:
            raise ValueError(f"Objects: rles, labels, ids, scores disagree on their length: {lengths}")
        if len(set(zip(self.labels.tolist(), self.ids.tolist(), strict=True))) < len(self.ids):
            raise ValueError(f"Objects: ids: expected one object per id and class, got {sorted(self.ids)}")


def encode(masks: Iterable[NDArray[Any]]) -> tuple[Rle, ...]:
    """Return the run lengths of masks, each (H, W), bool or 0 and 1."""
    return tuple(coco_mask.encode(np.asfortranarray(mask, np.uint8)) for mask in masks)


def objects_of(tracks: Tracks) -> Objects:
    """Return the objects of a frame's tracks that have visible pixels."""
    visible = [i for i in tracks.found() if i.mask.area]
    return Objects(
        encode(i.mask.full(tracks.height, tracks.width) for i in visible),
        np.array([i.label for i in visible], np.int64),
        np.array([i.track_id for i in visible], np.int64),
        np.array([i.score for i in visible], np.float64),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """One class in one frame: G ground-truth objects and P predicted ones that count."""

    true_ids: NDArray[np.int64]  # (G,)
    ids: NDArray[np.int64]  # (P,)
    iou: NDArray[np.float64]  # (G, P)
    areas: NDArray[np.int64]  # (G,) pixels
    hit: NDArray[np.bool_]  # (G,) whether matched


def compare(ground_truth: Objects, predicted: Objects, label: int) -> Compared:
    """Compare the predictions of one class with its ground truth.

    An unmatched prediction (one to one, mask IoU >= 0.5) with more than half of its area in an ignored
    region is dropped, as in KITTI-MOTS and BDD100K.
    """
    true, own = np.flatnonzero(ground_truth.labels == label), np.flatnonzero(predicted.labels == label)
    true_rles, rles = [ground_truth.rles[i] for i in true], [predicted.rles[i] for i in own]
    iou = overlaps(rles, true_rles, crowd=False).T
    rows, columns = best_pairs(iou)
    counts = np.asarray((overlaps(rles, list(ground_truth.ignore), crowd=True) <= IGNORED_SHARE).all(1))
    counts[columns] = True
    hit = np.zeros(len(true), bool)
    hit[rows] = True
    areas = np.asarray(coco_mask.area(true_rles), np.int64).reshape(-1)
    return Compared(ground_truth.ids[true], predicted.ids[own][counts], iou[:, counts], areas, hit)


def overlaps(rles: list[Rle], others: list[Rle], *, crowd: bool) -> NDArray[np.float64]:
    """Return the IoU of every pair, (N, M); with `crowd` the covered share of the first."""
    if not rles or not others:
        return np.zeros((len(rles), len(others)))
    overlap = coco_mask.iou(rles, others, [int(crowd)] * len(others))
    return cast(NDArray[np.float64], overlap)


def best_pairs(iou: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns of the optimal one-to-one matching with IoU >= MATCH_IOU.

    The number of pairs is maximised first, then their IoU, as in both official tools.
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise MissingMetrics(error) from error
    near = iou >= MATCH_IOU
    rows, columns = linear_sum_assignment(np.where(near, -iou, NEVER))
    matched = near[rows, columns]
    return rows[matched], columns[matched]


def recall_by_size(frames: Sequence[Compared]) -> tuple[Recall, Recall, Recall]:
    """Return the recall by area: below 500, up to 2000, and above 2000 pixels."""
    areas = np.concatenate([np.zeros(0, np.int64), *(frame.areas for frame in frames)])
    hit = np.concatenate([np.zeros(0, bool), *(frame.hit for frame in frames)])
    small, large = areas < SMALL, areas > LARGE
    found = [Recall(int(hit[s].sum()), int(s.sum())) for s in (small, ~(small | large), large)]
    return found[0], found[1], found[2]
