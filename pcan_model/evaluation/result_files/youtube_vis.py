"""YouTube-VIS' and COCO's AP from annotation and result files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pcan_model.core.errors import DataError
from pcan_model.core.numbers import whole
from pcan_model.evaluation.metrics.average_precision import (
    Precision,
    Tube,
    Video,
    image_precision,
    track_precision,
)
from pcan_model.evaluation.result_files import checked_objects as checked
from pcan_model.evaluation.result_files.checked_images import checked_detections, checked_truth
from pcan_model.evaluation.result_files.checked_objects import Entry, Size

VIS_METHOD = (
    "YouTube-VIS: COCO's rules on whole tracks, IoU summed over the frames, 0.50:0.95, at most 100 a video"
)
COCO_METHOD = "COCO: masks, IoU 0.50:0.95, at most 100 an image, by pycocotools"
Sourced = tuple[Entry, str]  # an entry, and its file and place for error messages


@dataclass(frozen=True, slots=True)
class FramePosition:
    """What is known of a video before its masks are read."""

    length: int  # frames
    size: Callable[[], Size]  # H, W in pixels


def score_youtube_vis(ground_truth: Path, predicted: Path) -> Precision:
    """Score `results.json` against an annotation file with its videos, categories and annotations.

    Every entry is checked first. Polygons of less than three corners, and results of categories that the
    labels do not have, are left out and named.
    """
    data = checked.read_labels(ground_truth, ("videos", "annotations", "categories"))
    names = checked.names_of(data["categories"], ground_truth)
    labels = [(entry, _source(ground_truth, entry, k)) for k, entry in enumerate(data["annotations"])]
    results = [(entry, f"{predicted}: entry {k}") for k, entry in enumerate(checked.read_results(predicted))]
    videos = checked.by_id(data["videos"], ground_truth, "videos")
    true = _by_video(checked.known_categories(labels, names, ground_truth), set(videos))
    mine = _by_video(checked.known_categories(results, names, predicted), set(videos))
    places = {
        number: _place(videos[number], true[number], f"{ground_truth}: video {number}") for number in videos
    }
    return track_precision(
        [_video(true[number], mine[number], places[number]) for number in sorted(videos)], names
    )


def score_coco(ground_truth: Path, predicted: Path) -> Precision:
    """Score a list of detections with masks against an annotation file; every entry is checked first."""
    data, sizes = checked_truth(ground_truth)
    return image_precision(data, checked_detections(predicted, data, sizes))


def precision_plain(scores: Precision) -> dict[str, Any]:
    """Return the numbers as nested plain values."""
    return {"stats": scores.stats, "AP_per_category": scores.per_class}


def _source(file: Path, entry: Entry, place: int) -> str:
    return f"{file}: annotation {entry['id']}" if "id" in entry else f"{file}: annotations[{place}]"


def _by_video(entries: Sequence[Sourced], videos: set[int]) -> dict[int, list[Sourced]]:
    found: dict[int, list[Sourced]] = {number: [] for number in videos}
    for entry, source in entries:
        number = checked.number_of(entry, "video_id", source)
        if number not in found:
            raise DataError(source, "video_id", f"one of {sorted(found)}", number)
        if not isinstance(entry.get("segmentations"), list):
            got = "boxes only" if "bboxes" in entry else f"keys {sorted(entry)}"
            raise DataError(source, "segmentations", "a list of masks, one or null per frame", got)
        found[number].append((entry, source))
    return found


def _place(video: Entry, labels: Sequence[Sourced], source: str) -> FramePosition:
    """Tell how long a video is, and how large, as it says itself or its labels do."""
    files, predicted = video.get("file_names"), whole(video.get("length"))
    lengths = [len(files)] if isinstance(files, list) else [] if predicted is None else [predicted]
    lengths += [len(entry["segmentations"]) for entry, _ in labels[:1]]
    if not lengths:
        raise DataError(source, "file_names", "one per frame, or a length", f"keys {sorted(video)}")
    sized = next((entry for entry, _ in labels if {"height", "width"} <= set(entry)), {})
    masks = [mask for entry, _ in labels for mask in entry["segmentations"]]
    return FramePosition(lengths[0], checked.size_said(sized | video, masks, source))


def _video(ground_truth: Sequence[Sourced], predicted: Sequence[Sourced], place: FramePosition) -> Video:
    known: set[int] = set()
    for entry, source in ground_truth:
        number = checked.number_of(entry, "id", source) if "id" in entry else -1 - len(known)
        if number in known:
            raise DataError(source, "id", "once in a video", f"{number} again")
        known.add(number)
    true = [_label(entry, source, place) for entry, source in ground_truth]
    mine = [_result(entry, source, place) for entry, source in predicted]
    return Video(tuple(tube for tube in true if tube is not None), tuple(mine))


def _label(entry: Entry, source: str, place: FramePosition) -> Tube | None:
    """Return an object's masks; None where none of its outlines has three corners."""
    rles = _masks(entry, source, place)
    given = [mask for mask in entry["segmentations"] if mask is not None]
    if given and not any(rle is not None for rle in rles):
        return None
    areas = entry.get("areas") or ()
    if not isinstance(areas, (list, tuple)):
        raise DataError(source, "areas", "a list", repr(areas))
    known = [area for area in (checked.area_of(value, source, "areas") for value in areas) if area]
    return Tube(
        int(entry["category_id"]),
        rles,
        crowd=checked.crowd_of(entry, source),
        area=float(np.mean(known)) if known else None,
    )


def _result(entry: Entry, source: str, place: FramePosition) -> Tube:
    score = checked.score_of(entry, source)
    return Tube(int(entry["category_id"]), _masks(entry, source, place), score)


def _masks(entry: Mapping[str, Any], source: str, place: FramePosition) -> tuple[dict[str, Any] | None, ...]:
    masks = entry["segmentations"]
    if len(masks) != place.length:
        raise DataError(source, "segmentations", f"one per frame, {place.length}", len(masks))
    return tuple(
        checked.mask_of(mask, place.size, source, f"segmentations[{time}]") for time, mask in enumerate(masks)
    )
