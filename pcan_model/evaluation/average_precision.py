"""Average precision of masks by pycocotools: of whole tracks (YouTube-VIS), or picture by picture (COCO)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pcan_model.evaluation.comparison import Rle

COCO_NAMES = (
    *("AP", "AP50", "AP75", "APs", "APm", "APl"),
    *("AR1", "AR10", "AR100", "ARs", "ARm", "ARl"),
)
VIS_AREAS = [[0, 1e5**2], [0, 128**2], [128**2, 256**2], [256**2, 1e5**2]]  # mean mask of a track, pixels


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """What YouTube-VIS asks of one video: T true and P predicted tracks, masks frame by frame."""

    truth: tuple[Tube, ...]
    said: tuple[Tube, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """One object's masks over a video."""

    category: int
    rles: tuple[Rle | None, ...]  # frame by frame, None where it is not seen
    score: float = 1.0
    crowd: bool = False
    area: float | None = None  # mean over the frames where it is seen; None: of the masks


@dataclass(frozen=True, slots=True)
class Precision:
    """AP and AR as COCO's evaluators print them, -1 where there is nothing to find."""

    stats: dict[str, float]  # by COCO_NAMES, in [0, 1]
    per_class: dict[str, float | None] = field(default_factory=dict)  # AP, None for absent classes


def track_precision(videos: Sequence[Video], categories: Mapping[int, str]) -> Precision:
    """Return YouTube-VIS' AP: COCO's rules, where a video is a picture and a tube an object."""
    truth, said = [], []
    for number, video in enumerate(videos, start=1):
        truth += [_record(tube, number) for tube in video.truth]
        said += [_record(tube, number) for tube in video.said]
    everything = _dataset(truth, range(1, len(videos) + 1), categories)
    return _evaluate(_TubeEval(everything, _dataset(said, range(1, len(videos) + 1), categories)), categories)


def picture_precision(
    truth: Mapping[str, Any], said: Sequence[Mapping[str, Any]], *, masks: bool = True
) -> Precision:
    """Return COCO's AP of masks (or boxes) from an annotation file and a result file's list."""
    with contextlib.redirect_stdout(io.StringIO()):
        everything = COCO()
        everything.dataset = dict(truth)
        everything.createIndex()
        found = everything.loadRes([dict(one) for one in said]) if said else _dataset([], (), {})
    kind = "segm" if masks else "bbox"
    names = {int(category["id"]): str(category["name"]) for category in truth["categories"]}
    return _evaluate(COCOeval(everything, found, kind), names)


def _record(tube: Tube, video: int) -> dict[str, Any]:
    areas = [float(coco_mask.area(rle)) for rle in tube.rles if rle is not None]
    area = tube.area if tube.area is not None else float(np.mean(areas)) if areas else 0.0
    return {
        "image_id": video,
        "category_id": tube.category,
        "tube": tube.rles,
        "score": tube.score,
        "iscrowd": int(tube.crowd),
        "area": area,
    }


def _dataset(records: Sequence[dict[str, Any]], images: Sequence[int], categories: Mapping[int, str]) -> COCO:
    """Index records as COCO does; identities count from 1, since 0 means no match there."""
    with contextlib.redirect_stdout(io.StringIO()):
        index = COCO()
        index.dataset = {
            "images": [{"id": image} for image in images],
            "annotations": [record | {"id": k} for k, record in enumerate(records, start=1)],
            "categories": [{"id": key, "name": name} for key, name in categories.items()],
        }
        index.createIndex()
    return index


class _TubeEval(COCOeval):
    """COCO's evaluation with the overlap of tubes, and YouTube-VIS' ranges of area."""

    def __init__(self, truth: COCO, said: COCO) -> None:
        super().__init__(truth, said, "bbox")  # boxes: pycocotools must not touch the masks
        self.params.areaRng = VIS_AREAS

    def computeIoU(self, imgId: int, catId: int) -> Any:
        """Return the overlaps of one video and class, (P, T), predictions by falling score."""
        truth, said = self._gts[imgId, catId], self._dts[imgId, catId]
        if not truth and not said:
            return []
        order = np.argsort([-one["score"] for one in said], kind="mergesort")[: self.params.maxDets[-1]]
        return np.array([[tube_iou(said[k]["tube"], true["tube"]) for true in truth] for k in order]).reshape(
            len(order), len(truth)
        )


def tube_iou(one: Sequence[Rle | None], other: Sequence[Rle | None]) -> float:
    """Return the intersection of two tubes over their union, summed over the frames."""
    both = either = 0.0
    for a, b in zip(one, other, strict=True):
        seen = [rle for rle in (a, b) if rle is not None]
        if seen:
            either += float(coco_mask.area(coco_mask.merge(seen, intersect=False)))
        if len(seen) == 2:
            both += float(coco_mask.area(coco_mask.merge(seen, intersect=True)))
    return both / either if either else 0.0


def _evaluate(evaluation: Any, names: Mapping[int, str]) -> Precision:
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    curves: NDArray[np.float64] = evaluation.eval["precision"][:, :, :, 0, -1]  # (T, R, K)
    per_class: dict[str, float | None] = {}
    for k, category in enumerate(evaluation.params.catIds):
        known = curves[:, :, k][curves[:, :, k] > -1]
        per_class[names[int(category)]] = float(known.mean()) if len(known) else None
    stats = dict(zip(COCO_NAMES, map(float, evaluation.stats), strict=True))
    return Precision(stats, per_class)
