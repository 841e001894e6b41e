"""Mask AP with pycocotools: of whole tracks (YouTube-VIS) or of single images (COCO)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pcan_model.evaluation.metrics.comparison import Rle

COCO_NAMES = (
    *("AP", "AP50", "AP75", "APs", "APm", "APl"),
    *("AR1", "AR10", "AR100", "ARs", "ARm", "ARl"),
)
THE_VIDEO = 1  # each is evaluated by itself
VIS_AREAS = [[0, 1e5**2], [0, 128**2], [128**2, 256**2], [256**2, 1e5**2]]  # mean mask of a track, pixels


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """A video for YouTube-VIS' AP: T ground-truth and P predicted tracks, with masks frame by frame."""

    ground_truth: tuple[Tube, ...]
    predicted: tuple[Tube, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """One object's masks over a video."""

    category: int
    rles: tuple[Rle | None, ...]  # by frame, None if not visible
    score: float = 1.0
    crowd: bool = False
    area: float | None = None  # mean over the frames where it is visible; None: computed from the masks


@dataclass(frozen=True, slots=True)
class Precision:
    """AP and AR as printed by COCO's evaluators, -1 if undefined."""

    stats: dict[str, float]  # by COCO_NAMES, in [0, 1]
    per_class: dict[str, float | None] = field(default_factory=dict)  # AP, None for absent classes


class TrackPrecision:
    """YouTube-VIS' AP, accumulated by video: COCO's rules with videos as images and tubes as objects.

    Only matches and scores of each video are stored.
    """

    def __init__(self, categories: Mapping[int, str]) -> None:
        self._categories = dict(categories)
        self._matches: list[list[Any]] = []  # of each video, by class and area range

    def add(self, video: Video) -> None:
        """Match the tracks of a video."""
        evaluation = self._open(video)
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.evaluate()
        self._matches.append(evaluation.evalImgs)

    def result(self) -> Precision:
        """Return AP and AR of all videos so far."""
        evaluation = self._open(Video((), ()))
        evaluation.params.imgIds = list(range(len(self._matches)))
        evaluation._paramsEval = evaluation.params
        evaluation.evalImgs = [one for kind in zip(*self._matches, strict=True) for one in kind]
        return summary(evaluation, self._categories)

    def _open(self, video: Video) -> _TubeEval:
        ground_truth, predicted = (
            [_record(tube) for tube in tubes] for tubes in (video.ground_truth, video.predicted)
        )
        return _TubeEval(*(_dataset(records, self._categories) for records in (ground_truth, predicted)))


def track_precision(videos: Iterable[Video], categories: Mapping[int, str]) -> Precision:
    """Return YouTube-VIS' AP and AR of videos."""
    precision = TrackPrecision(categories)
    for video in videos:
        precision.add(video)
    return precision.result()


def image_precision(
    ground_truth: Mapping[str, Any], predicted: Sequence[Mapping[str, Any]], *, masks: bool = True
) -> Precision:
    """Return COCO's AP of masks (or boxes) from an annotation file and a result file's list."""
    with contextlib.redirect_stdout(io.StringIO()):
        everything = COCO()
        everything.dataset = dict(ground_truth)
        everything.createIndex()
        found = everything.loadRes([dict(one) for one in predicted]) if predicted else _dataset([], {})
    kind = "segm" if masks else "bbox"
    names = {int(category["id"]): str(category["name"]) for category in ground_truth["categories"]}
    evaluation = COCOeval(everything, found, kind)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
    return summary(evaluation, names)


def _record(tube: Tube) -> dict[str, Any]:
    areas = [float(coco_mask.area(rle)) for rle in tube.rles if rle is not None]
    area = tube.area if tube.area is not None else float(np.mean(areas)) if areas else 0.0
    return {
        "image_id": THE_VIDEO,
        "category_id": tube.category,
        "tube": tube.rles,
        "score": tube.score,
        "iscrowd": int(tube.crowd),
        "area": area,
    }


def _dataset(records: Sequence[dict[str, Any]], categories: Mapping[int, str]) -> COCO:
    """Build a COCO index of records; ids start from 1, since 0 means no match in pycocotools."""
    with contextlib.redirect_stdout(io.StringIO()):
        index = COCO()
        index.dataset = {
            "images": [{"id": THE_VIDEO}],
            "annotations": [record | {"id": k} for k, record in enumerate(records, start=1)],
            "categories": [{"id": key, "name": name} for key, name in categories.items()],
        }
        index.createIndex()
    return index


class _TubeEval(COCOeval):
    """COCO's evaluation with tube IoU and YouTube-VIS' area ranges."""

    def __init__(self, ground_truth: COCO, predicted: COCO) -> None:
        super().__init__(ground_truth, predicted, "bbox")  # "bbox" keeps pycocotools from processing masks
        self.params.areaRng = VIS_AREAS

    def computeIoU(self, imgId: int, catId: int) -> Any:
        """Return the IoU of one video and class, (P, T), predictions by descending score."""
        ground_truth, predicted = self._gts[imgId, catId], self._dts[imgId, catId]
        if not ground_truth and not predicted:
            return []
        order = np.argsort([-one["score"] for one in predicted], kind="mergesort")[: self.params.maxDets[-1]]
        return np.array(
            [[tube_iou(predicted[k]["tube"], true["tube"]) for true in ground_truth] for k in order]
        ).reshape(len(order), len(ground_truth))


def tube_iou(one: Sequence[Rle | None], other: Sequence[Rle | None]) -> float:
    """Return the IoU of two tubes, with intersection and union summed over the frames."""
    both = either = 0.0
    for a, b in zip(one, other, strict=True):
        seen = [rle for rle in (a, b) if rle is not None]
        if seen:
            either += float(coco_mask.area(coco_mask.merge(seen, intersect=False)))
        if len(seen) == 2:
            both += float(coco_mask.area(coco_mask.merge(seen, intersect=True)))
    return both / either if either else 0.0


def summary(evaluation: Any, names: Mapping[int, str]) -> Precision:
    """Accumulate an evaluation with matched images; `names` are class names by category."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
        evaluation.summarize()
    curves: NDArray[np.float64] = evaluation.eval["precision"][:, :, :, 0, -1]  # (T, R, K)
    per_class: dict[str, float | None] = {}
    for k, category in enumerate(evaluation.params.catIds):
        known = curves[:, :, k][curves[:, :, k] > -1]
        per_class[names[int(category)]] = float(known.mean()) if len(known) else None
    stats = dict(zip(COCO_NAMES, map(float, evaluation.stats), strict=True))
    return Precision(stats, per_class)
