"""Predictions as result files for the data sets' servers and official tools.

Masks never overlap, except in YouTube-VIS, whose metric scores tracks singly: there they are as tracked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.data.files import write_image
from pcan_model.data.formats import bdd100k, kitti_mots, scalabel, youtube_vis
from pcan_model.data.formats.labels import BACKGROUND, FrameLabels, from_masks
from pcan_model.data.formats.reading import read_json
from pcan_model.evaluation.metrics.average_precision import Tube
from pcan_model.evaluation.metrics.comparison import Objects
from pcan_model.evaluation.predictions import ClipPredictions

SUBMISSIONS = ("kitti_mots", "bdd100k", "scalabel", "youtube_vis")


@dataclass(frozen=True, slots=True)
class VideoIds:
    """Ids of videos and categories on a YouTube-VIS server."""

    videos: Mapping[str, int] = field(default_factory=dict)  # by name; others are numbered from 1
    categories: Mapping[int, int] = field(default_factory=dict)  # by label; empty: label + 1


def read_ids(annotations: Path, classes: Sequence[str] = CLASSES) -> VideoIds:
    """Read the ids from an annotation file; of several categories of a class the first is used."""
    data = read_json(annotations, "an annotation file")
    try:
        videos = {str(Path(v["file_names"][0]).parent): int(v["id"]) for v in data["videos"]}
        labels = youtube_vis.categories_to_labels(data["categories"], classes, annotations)
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise DataError(annotations, "videos, categories", "those of YouTube-VIS", error) from error
    return VideoIds(videos, {label: category for category, label in reversed(labels.items())})


def write_submission(
    kind: str,
    clips: Iterable[ClipPredictions],
    folder: Path,
    classes: Sequence[str] = CLASSES,
    *,
    ids: VideoIds,
) -> None:
    """Write results clip by clip to a folder; objects of classes not in the format are dropped.

    kind  one of SUBMISSIONS

    Raises OverflowError if a clip has more objects than the format allows.
    """
    assert kind in SUBMISSIONS
    results: list[dict[str, Any]] = []
    for number, predictions in enumerate(clips, start=1):
        if kind == "youtube_vis":
            video = ids.videos.get(predictions.name, number)
            results += youtube_vis_results(predictions.tubes(), video, ids.categories)
            continue
        frames = [
            labels_of(one, size) for one, size in zip(predictions.predicted, predictions.sizes, strict=True)
        ]
        if kind == "kitti_mots":
            _kitti_mots(frames, folder / f"{predictions.name}.txt", predictions.image_files, classes)
        elif kind == "bdd100k":
            _bdd100k(frames, folder / predictions.name, predictions.image_files, classes)
        else:
            _scalabel(frames, folder / f"{predictions.name}.json", predictions, classes)
    if kind == "youtube_vis":
        write_bytes(folder / "results.json", json.dumps(results).encode())


def labels_of(objects: Objects, size: tuple[int, int]) -> FrameLabels:
    """Return the objects of a frame of (H, W) = `size`; overlaps go to the higher score."""
    masks = np.array([coco_mask.decode(rle) for rle in objects.rles], bool).reshape(-1, *size)
    scores = objects.scores if len(objects.scores) else np.ones(len(objects.ids))
    return from_masks(masks, objects.labels, objects.ids, scores=scores).objects()


def _kitti_mots(
    frames: Sequence[FrameLabels], path: Path, image_files: Sequence[str], classes: Sequence[str]
) -> None:
    identities = kitti_mots.Identities()
    lines = [
        line
        for time, frame in zip(times_of(image_files), frames, strict=True)
        for line in kitti_mots.to_lines(frame, time, classes, identities, other=BACKGROUND)
    ]
    write_bytes(path, "".join(f"{line}\n" for line in lines).encode("ascii"))


def times_of(image_files: Sequence[str]) -> list[int]:
    """Return the frame numbers: the images' names if all are numeric, else 0, 1, …"""
    names = [Path(image).stem for image in image_files]
    if all(name.isascii() and name.isdecimal() for name in names) and len(set(map(int, names))) == len(names):
        return list(map(int, names))
    return list(range(len(names)))


def _bdd100k(
    frames: Sequence[FrameLabels], folder: Path, image_files: Sequence[str], classes: Sequence[str]
) -> None:
    numbers = bdd100k.identities()
    for frame, name in zip(frames, image_files, strict=True):
        image = bdd100k.to_bitmask(frame, classes, numbers, other=BACKGROUND)
        write_image((folder / name).with_suffix(".png"), image[..., [2, 1, 0, 3]])  # OpenCV's order


def _scalabel(
    frames: Sequence[FrameLabels], path: Path, predictions: ClipPredictions, classes: Sequence[str]
) -> None:
    entries = [
        scalabel.encode(
            frame, classes, name=predictions.image_files[t], video=predictions.name, time=t, other=BACKGROUND
        )
        for t, frame in enumerate(frames)
    ]
    write_bytes(path, json.dumps(entries).encode())


def youtube_vis_results(
    tubes: Sequence[Tube], video: int, categories: Mapping[int, int]
) -> list[dict[str, Any]]:
    """Return the entries of a video in results.json.

    categories  ids by label, tracks of other classes are dropped; empty: label + 1
    """
    known = categories or {tube.category: tube.category + 1 for tube in tubes}
    return [
        {
            "video_id": video,
            "category_id": known[tube.category],
            "score": tube.score,
            "segmentations": [rle and rle | {"counts": rle["counts"].decode("ascii")} for rle in tube.rles],
        }
        for tube in tubes
        if tube.category in known
    ]
