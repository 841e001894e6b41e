"""BDD100K instance segmentation (`ins_seg`): mask AP from bitmasks and a file of scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.cocoeval import COCOeval

from pcan_model.core.errors import DataError
from pcan_model.core.numbers import finite, whole
from pcan_model.data.datasets.bdd100k import read_bitmask
from pcan_model.data.formats.bdd100k import CATEGORIES, CROWD, IGNORED, Bitmask, parse
from pcan_model.data.formats.reading import read_json, warn
from pcan_model.evaluation.metrics.average_precision import Precision, summary
from pcan_model.evaluation.metrics.comparison import encode

METHOD = (
    "BDD100K ins_seg: COCO's AP, IoU 0.50:0.95, at most 100 an image and class, accumulated by pycocotools; "
    "matched as in bdd100k: a crowd matches any number of masks, matches with ignored objects are no error"
)
Scores = dict[str, list[tuple[int, float]]]  # image to the ids and scores of its instances


@dataclass(frozen=True, slots=True, eq=False)
class RgbImage:
    """T ground-truth and P predicted instances of an image, the latter by descending score."""

    true_categories: NDArray[np.int64]  # (T,) as in CATEGORIES
    true_areas: NDArray[np.int64]  # (T,) pixels
    crowd: NDArray[np.bool_]  # (T,)
    ignored: NDArray[np.bool_]  # (T,)
    categories: NDArray[np.int64]  # (P,)
    areas: NDArray[np.int64]  # (P,) pixels
    scores: NDArray[np.float64]  # (P,)
    iou: NDArray[np.float64]  # (P, T)


def score_ins_seg(ground_truth: Path, predicted: Path) -> Precision:
    """Score a folder of bitmasks against ground truth; scores are in `<predicted>.json` beside the folder.

    Images without a bitmask and instances without a score count as not predicted.
    Raises DataError for files of unknown images, and for invalid bitmasks.
    """
    names = sorted(path.name for path in ground_truth.glob("*.png"))
    if not names:
        raise DataError(ground_truth, "*.png", "one bitmask per image", "none")
    scores = _scores(predicted.with_name(f"{predicted.name}.json"))
    if not predicted.is_dir():
        raise DataError(predicted, "folder", "bitmasks, <image>.png", "no such folder")
    if extra := sorted(({path.name for path in predicted.glob("*.png")} | set(scores)) - set(names)):
        raise DataError(predicted, "files", "images of the labels", extra[:5])
    if missing := [name for name in names if not (predicted / name).is_file()]:
        got = f"no such file, nor {len(missing) - 1} others: all their objects count as missed"
        warn(DataError(predicted / missing[0], "file", "a bitmask", got))
    images = [_image(ground_truth / name, predicted / name, scores.get(name, [])) for name in names]
    evaluation = COCOeval(iouType="segm")
    params = evaluation.params
    params.imgIds, params.catIds = list(range(len(images))), list(CATEGORIES.values())
    evaluation.evalImgs = [
        match(image, category, area, params.iouThrs)
        for category in params.catIds
        for area in params.areaRng
        for image in images
    ]
    evaluation._paramsEval = params
    return summary(evaluation, {number: name for name, number in CATEGORIES.items()})


def match(
    image: RgbImage, category: int, area: Sequence[float], thresholds: NDArray[np.float64]
) -> dict[str, Any]:
    """Match one class and area range at each threshold, in the form that pycocotools accumulates.

    By descending score, each mask is matched with the ground truth of highest IoU, ignored or not.
    """
    targets, predictions = image.true_categories == category, image.categories == category
    crowd, iou = image.crowd[targets], image.iou[predictions][:, targets]
    ignore = image.ignored[targets] | _outside(image.true_areas[targets], area)
    matches = np.zeros((len(thresholds), len(iou)), bool)
    ignored = np.tile(_outside(image.areas[predictions], area), (len(thresholds), 1))
    for t, threshold in enumerate(thresholds):
        free = iou.copy()
        for p in range(len(iou) if targets.any() else 0):
            best = int(free[p].argmax())
            if free[p, best] < threshold:
                continue
            matches[t, p], ignored[t, p] = True, ignore[best]
            if not crowd[best]:
                free[:, best] = 0
    return {
        "dtScores": image.scores[predictions],
        "dtMatches": matches,
        "dtIgnore": ignored,
        "gtIgnore": ignore,
    }


def _outside(areas: NDArray[np.int64], area: Sequence[float]) -> NDArray[np.bool_]:
    return (areas < area[0]) | (areas > area[1])


def _image(ground_truth: Path, predicted: Path, scores: Sequence[tuple[int, float]]) -> RgbImage:
    targets = _bitmask(ground_truth)
    found = _bitmask(predicted) if predicted.is_file() else None
    if found is not None and found.index.shape != targets.index.shape:
        raise DataError(predicted, "image", f"the labels' size {targets.index.shape}", found.index.shape)
    row_of = {} if found is None else {identity: k for k, identity in enumerate(found.ids.tolist())}
    if len({identity for identity, _ in scores}) < len(scores):
        raise DataError(predicted, "scores", "one for every index", sorted(scores))
    ordered = sorted(scores, key=lambda pair: pair[1], reverse=True)
    if lost := sorted({identity for identity, _ in scores} - set(row_of)):
        got = f"{lost[:5]}, which do not count"
        warn(DataError(predicted, "scores", "an index of the bitmask for each", got))
    kept = [(row_of[identity], score) for identity, score in ordered if identity in row_of]
    chosen = [k for k, _ in kept]
    true_runs, runs = _runs(targets), _runs(found) if found is not None else []
    runs = [runs[k] for k in chosen]
    table = coco_mask.iou(runs, true_runs, [0] * len(true_runs)) if runs and true_runs else []
    return RgbImage(
        targets.categories,
        np.array([coco_mask.area(run) for run in true_runs], np.int64),
        targets.attributes & CROWD > 0,
        targets.attributes & IGNORED > 0,
        np.array([] if found is None else found.categories[chosen], np.int64),
        np.array([coco_mask.area(run) for run in runs], np.int64),
        np.array([score for _, score in kept], np.float64),
        np.array(table, np.float64).reshape(len(runs), len(true_runs)),
    )


def _runs(bitmask: Bitmask) -> list[dict[str, Any]]:
    return list(encode(bitmask.index == k for k in range(1, len(bitmask.ids) + 1)))


def _bitmask(path: Path) -> Bitmask:
    bitmask = parse(read_bitmask(path), path)
    if wrong := sorted(set(bitmask.categories.tolist()) - set(CATEGORIES.values())):
        raise DataError(path, "category", f"1 to {len(CATEGORIES)}", wrong)
    return bitmask


def _scores(file: Path) -> Scores:
    """Read the scores: `[{"name": "a.png", "labels": [{"index": 1, "score": 0.4}, …]}, …]`."""
    entries = read_json(file, "the scores of the instances, in JSON")
    if not isinstance(entries, list):
        raise DataError(file, "file", "a list of name and labels", type(entries).__name__)
    scores: Scores = {}
    for number, entry in enumerate(entries):
        labels = (entry.get("labels") or []) if isinstance(entry, dict) else None
        if labels is None or not isinstance(entry.get("name"), str) or not isinstance(labels, list):
            raise DataError(file, f"entry {number}", "a name and labels, each with index and score", entry)
        name = entry["name"].replace(".jpg", ".png")
        if name in scores:
            raise DataError(file, f"entry {number}: name", "once", f"{name} again")
        scores[name] = [_score(label, f"{file}: {name}") for label in labels]
    return scores


def _score(label: Any, source: str) -> tuple[int, float]:
    index = whole(label.get("index")) if isinstance(label, dict) else None
    score = finite(label.get("score")) if isinstance(label, dict) else None
    if index is None or score is None:
        raise DataError(source, "labels", "a whole index and a finite score in each", label)
    return index, score
