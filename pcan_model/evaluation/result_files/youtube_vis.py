"""YouTube-VIS' and COCO's AP from annotation and result files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from pcan_model.core.errors import DataError
from pcan_model.core.rle import check
from pcan_model.evaluation.metrics.average_precision import (
    Precision,
    Tube,
    Video,
    picture_precision,
    track_precision,
)
from pcan_model.evaluation.metrics.comparison import Rle

VIS_METHOD = (
    "YouTube-VIS: COCO's rules on whole tracks, IoU summed over the frames, 0.50:0.95, at most 100 a video"
)
COCO_METHOD = "COCO: masks, IoU 0.50:0.95, at most 100 a picture, by pycocotools"


def score_youtube_vis(truth: Path, said: Path) -> Precision:
    """Score `results.json` against an annotation file with its videos, categories and annotations."""
    data, results = _json(truth, dict), _json(said, list)
    for key in ("videos", "annotations", "categories"):
        if not isinstance(data.get(key), list):
            raise DataError(truth, key, "a list", type(data.get(key)).__name__)
    videos = sorted(data["videos"], key=lambda video: int(video["id"]))
    lengths = {int(video["id"]): len(video["file_names"]) for video in videos}
    categories = {int(c["id"]): str(c["name"]) for c in data["categories"]}
    true = _by_video(data["annotations"], lengths, truth)
    mine = _by_video(results, lengths, said)
    return track_precision([Video(tuple(true[v]), tuple(mine[v])) for v in lengths], categories)


def score_coco(truth: Path, said: Path) -> Precision:
    """Score a list of detections with run lengths against an annotation file."""
    return picture_precision(_json(truth, dict), _json(said, list))


def precision_plain(scores: Precision) -> dict[str, Any]:
    """Return the numbers as nested plain values."""
    return {"stats": scores.stats, "AP_per_category": scores.per_class}


def _by_video(
    entries: Sequence[Mapping[str, Any]], lengths: Mapping[int, int], file: Path
) -> dict[int, list[Tube]]:
    tubes: dict[int, list[Tube]] = {video: [] for video in lengths}
    for number, entry in enumerate(entries):
        source = f"{file}: entry {number}"
        missing = {"video_id", "category_id", "segmentations"} - set(entry)
        if missing:
            raise DataError(source, "keys", "video_id, category_id, segmentations", sorted(entry))
        video, masks = int(entry["video_id"]), entry["segmentations"]
        if video not in lengths:
            raise DataError(source, "video_id", f"one of {sorted(lengths)}", video)
        if len(masks) != lengths[video]:
            raise DataError(source, "segmentations", f"one per frame, {lengths[video]}", len(masks))
        tubes[video].append(_tube(entry, source))
    return tubes


def _tube(entry: Mapping[str, Any], source: str) -> Tube:
    rles = tuple(_rle(mask, entry, source) for mask in entry["segmentations"])
    areas = [area for area in entry.get("areas") or () if area]
    return Tube(
        int(entry["category_id"]),
        rles,
        float(entry.get("score", 1)),
        crowd=bool(entry.get("iscrowd")),
        area=float(np.mean(areas)) if areas and "score" not in entry else None,
    )


def _rle(mask: Any, entry: Mapping[str, Any], source: str) -> Rle | None:
    """Return a mask's run lengths, of polygons and of uncompressed ones too."""
    if not mask:
        return None
    if isinstance(mask, list):
        return dict(coco_mask.merge(coco_mask.frPyObjects(mask, entry["height"], entry["width"])))
    return check(mask, file=source, key="segmentations")


def _json(path: Path, kind: type) -> Any:
    try:
        data = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(path, "file", "JSON", error) from error
    if not isinstance(data, kind):
        raise DataError(path, "file", f"a {kind.__name__} in JSON", type(data).__name__)
    return data
