"""YouTube-VIS and COCO AP of result files."""

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
from pcan_model.evaluation.result_files.checked_images import checked_detections, checked_labels
from pcan_model.evaluation.result_files.checked_objects import Entry, Size

VIS_METHOD = (
    "YouTube-VIS: COCO's rules on whole tracks, IoU summed over the frames, 0.50:0.95, at most 100 a video"
)
COCO_METHOD = "COCO: masks, IoU 0.50:0.95, at most 100 an image, by pycocotools"
Sourced = tuple[Entry, str]  # an entry and its source, for error messages


@dataclass(frozen=True, slots=True)
class VideoShape:
    """Length and image size of a video."""

    length: int  # frames
    size: Callable[[], Size]  # returns (H, W) in pixels


def score_youtube_vis(ground_truth: Path, predicted: Path) -> Precision:
    """Score `results.json` against an annotation file with videos, categories and annotations.

    Every entry is validated first. Polygons with fewer than three corners and results of unknown categories
    are reported and skipped.
    """
    data = checked.read_labels(ground_truth, ("videos", "annotations", "categories"))
    names = checked.names_of(data["categories"], ground_truth)
    labels = [(entry, _source(ground_truth, entry, k)) for k, entry in enumerate(data["annotations"])]
    results = [(entry, f"{predicted}: entry {k}") for k, entry in enumerate(checked.read_results(predicted))]
    videos = checked.by_id(data["videos"], ground_truth, "videos")
    targets = _by_video(checked.known_categories(labels, names, ground_truth), set(videos))
    predictions = _by_video(checked.known_categories(results, names, predicted), set(videos))
    shapes = {
        number: _video_shape(videos[number], targets[number], f"{ground_truth}: video {number}")
        for number in videos
    }
    return track_precision(
        [_video(targets[number], predictions[number], shapes[number]) for number in sorted(videos)], names
    )


def score_coco(ground_truth: Path, predicted: Path) -> Precision:
    """Score a list of detections with masks against an annotation file, validating every entry first."""
    data, sizes = checked_labels(ground_truth)
    return image_precision(data, checked_detections(predicted, data, sizes))


def precision_plain(scores: Precision) -> dict[str, Any]:
    """Return the scores as nested plain values."""
    return {"stats": scores.stats, "AP_per_category": scores.per_class}


def _source(file: Path, entry: Entry, shape: int) -> str:
    return f"{file}: annotation {entry['id']}" if "id" in entry else f"{file}: annotations[{shape}]"


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


def _video_shape(video: Entry, labels: Sequence[Sourced], source: str) -> VideoShape:
    """Return length and image size of a video, from its own keys or from its labels."""
    files, length = video.get("file_names"), whole(video.get("length"))
    lengths = [len(files)] if isinstance(files, list) else [] if length is None else [length]
    lengths += [len(entry["segmentations"]) for entry, _ in labels[:1]]
    if not lengths:
        raise DataError(source, "file_names", "one per frame, or a length", f"keys {sorted(video)}")
    sized = next((entry for entry, _ in labels if {"height", "width"} <= set(entry)), {})
    masks = [mask for entry, _ in labels for mask in entry["segmentations"]]
    return VideoShape(lengths[0], checked.declared_size(sized | video, masks, source))


def _video(ground_truth: Sequence[Sourced], predicted: Sequence[Sourced], shape: VideoShape) -> Video:
    known: set[int] = set()
    for entry, source in ground_truth:
        number = checked.number_of(entry, "id", source) if "id" in entry else -1 - len(known)
        if number in known:
            raise DataError(source, "id", "once in a video", f"{number} again")
        known.add(number)
    targets = [_label(entry, source, shape) for entry, source in ground_truth]
    predictions = [_result(entry, source, shape) for entry, source in predicted]
    return Video(tuple(tube for tube in targets if tube is not None), tuple(predictions))


def _label(entry: Entry, source: str, shape: VideoShape) -> Tube | None:
    """Return the masks of a label; None without any polygon of three corners."""
    rles = _masks(entry, source, shape)
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


def _result(entry: Entry, source: str, shape: VideoShape) -> Tube:
    score = checked.score_of(entry, source)
    return Tube(int(entry["category_id"]), _masks(entry, source, shape), score)


def _masks(entry: Mapping[str, Any], source: str, shape: VideoShape) -> tuple[dict[str, Any] | None, ...]:
    masks = entry["segmentations"]
    if len(masks) != shape.length:
        raise DataError(source, "segmentations", f"one per frame, {shape.length}", len(masks))
    return tuple(
        checked.mask_of(mask, shape.size, source, f"segmentations[{time}]") for time, mask in enumerate(masks)
    )
