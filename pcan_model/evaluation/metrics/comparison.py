"""One frame's labels beside its predictions: masks as run lengths, overlaps, what counts."""

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
MATCH_IOU = 0.5  # least mask IoU of a match, but for HOTA and AP, which have several of them
IGNORED_SHARE = 0.5  # a false object that lies in ignored pixels by more than this is no error
SMALL, LARGE = 500, 2000  # bounds of the object sizes, pixels
NEVER = 10_000.0  # cost of a pair below MATCH_IOU: so many pairs as can be, then the best ones


class MissingMetrics(ImportError):
    """The packages that count are not installed."""

    def __init__(self, error: ImportError) -> None:
        super().__init__(
            f"evaluation needs TrackEval and SciPy ({error}); install them by\n"
            "  pip install scipy && pip install --no-deps trackeval==1.3.0"
        )


def _no_scores() -> NDArray[np.float64]:
    return np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """N masks of one frame, labelled or predicted."""

    rles: tuple[Rle, ...]  # (N,) of the whole image
    labels: NDArray[np.int64]  # (N,) index into the data set's classes
    ids: NDArray[np.int64]  # (N,) identity within the clip and the class
    scores: NDArray[np.float64] = field(default_factory=_no_scores)  # (N,) of predictions, else empty
    ignore: tuple[Rle, ...] = ()  # of labels: regions where a false object is no error

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
    """Hold what a frame's tracks show; without a visible pixel nothing is shown."""
    shown = [i for i in tracks.found() if i.mask.area]
    return Objects(
        encode(i.mask.full(tracks.height, tracks.width) for i in shown),
        np.array([i.label for i in shown], np.int64),
        np.array([i.track_id for i in shown], np.int64),
        np.array([i.score for i in shown], np.float64),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """One class in one frame: G true objects beside P predicted ones that count."""

    true_ids: NDArray[np.int64]  # (G,)
    ids: NDArray[np.int64]  # (P,)
    iou: NDArray[np.float64]  # (G, P)
    areas: NDArray[np.int64]  # (G,) pixels
    hit: NDArray[np.bool_]  # (G,) found by one of the predicted


def compare(ground_truth: Objects, predicted: Objects, label: int) -> Compared:
    """Set one class's predictions beside its labels.

    A prediction that matches no label of the class (one to one, mask IoU >= 0.5) and lies in
    an ignored region by more than half of its own area is left out, as KITTI-MOTS and BDD100K do.
    """
    true, mine = np.flatnonzero(ground_truth.labels == label), np.flatnonzero(predicted.labels == label)
    true_rles, rles = [ground_truth.rles[i] for i in true], [predicted.rles[i] for i in mine]
    iou = overlaps(rles, true_rles, crowd=False).T
    rows, columns = best_pairs(iou)
    counts = np.asarray((overlaps(rles, list(ground_truth.ignore), crowd=True) <= IGNORED_SHARE).all(1))
    counts[columns] = True
    hit = np.zeros(len(true), bool)
    hit[rows] = True
    areas = np.asarray(coco_mask.area(true_rles), np.int64).reshape(-1)
    return Compared(ground_truth.ids[true], predicted.ids[mine][counts], iou[:, counts], areas, hit)


def overlaps(rles: list[Rle], others: list[Rle], *, crowd: bool) -> NDArray[np.float64]:
    """Return the IoU of every pair, (N, M); with `crowd` the share of the first that is covered."""
    if not rles or not others:
        return np.zeros((len(rles), len(others)))
    overlap = coco_mask.iou(rles, others, [int(crowd)] * len(others))
    return cast(NDArray[np.float64], overlap)


def best_pairs(iou: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns of the best one-to-one matching at the least IoU.

    As many pairs as possible come before their overlap, as in both official tools.
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
    """Count the true objects found, by their area: under 500, to 2000, and over 2000 px."""
    areas = np.concatenate([np.zeros(0, np.int64), *(frame.areas for frame in frames)])
    hit = np.concatenate([np.zeros(0, bool), *(frame.hit for frame in frames)])
    small, large = areas < SMALL, areas > LARGE
    found = [Recall(int(hit[s].sum()), int(s.sum())) for s in (small, ~(small | large), large)]
    return found[0], found[1], found[2]
