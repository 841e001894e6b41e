"""YouTube-VIS JSON: videos, and one annotation per object with a mask, or none, for every frame."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from pcan_model.core import rle
from pcan_model.core.errors import DataError
from pcan_model.data.formats.labels import IGNORE, FrameLabels, labelled
from pcan_model.data.formats.reading import OnError, raise_error, read_all

NAMES = {"person": "pedestrian", "sedan": "car", "motorbike": "motorcycle"}  # what street classes are called


@dataclass(frozen=True, slots=True)
class Instance:
    """One object of one video, masks still encoded."""

    identity: int
    label: int  # index into the classes asked for, or IGNORE
    crowd: bool
    segmentations: tuple[Any, ...]  # per frame: run lengths, polygons, or None where it is not seen
    source: str  # file and annotation, for error messages


@dataclass(frozen=True, slots=True)
class Video:
    """One video: its pictures and its objects."""

    name: str
    size: tuple[int, int]  # H, W in pixels
    files: tuple[str, ...]  # pictures, below JPEGImages
    instances: tuple[Instance, ...] | None  # None where the file has no labels (private)


def read_videos(file: Path, names: Sequence[str], on_error: OnError = raise_error) -> list[Video]:
    """Read the videos of a file, in its order.

    names  of the classes that labels count: a category of the same name, or of one in NAMES, is that
           class; other categories are ignored
    on_error  takes the error of each annotation or video that is left out

    The labels of the official val and test sets are private: their files have no annotations.
    Raises DataError where a key is missing, or no category is a class.
    """
    data = _load(file)
    table = categories_to_labels(data["categories"], names, file)
    instances: dict[int, list[Instance]] = {}
    entries = data["annotations"] or ()
    for number, instance in read_all(lambda entry: _instance(entry, table, file), entries, on_error):
        instances.setdefault(number, []).append(instance)
    hidden = data["annotations"] is None

    def read(entry: Any) -> Video:
        if not isinstance(entry, dict):
            raise DataError(file, "videos", "id, height, width, file_names", entry)
        return _video(entry, None if hidden else instances.pop(entry.get("id", -1), []), file)

    videos = read_all(read, data["videos"], on_error)
    called = [video.name for video in videos]
    videos = [
        replace(video, name=f"{video.name}-{number}") if called.count(video.name) > 1 else video
        for number, video in enumerate(videos, start=1)
    ]
    if instances:
        on_error(DataError(file, "annotations.video_id", "an id of videos", sorted(instances)[:5]))
    return videos


def categories_to_labels(categories: Any, names: Sequence[str], file: Path | str) -> dict[int, int]:
    """Return the label of every category id: an index into `names`, or IGNORE."""
    table: dict[int, int] = {}
    for entry in categories:
        if not isinstance(entry, dict) or "id" not in entry or "name" not in entry:
            raise DataError(file, "categories", "entries with id and name", entry)
        name = entry["name"] if entry["name"] in names else NAMES.get(entry["name"])
        table[entry["id"]] = names.index(name) if name in names else IGNORE
    if all(label == IGNORE for label in table.values()):
        found = [entry["name"] for entry in categories]
        raise DataError(file, "categories", f"some of the classes {list(names)}", found)
    return table


def decode(video: Video, time: int) -> FrameLabels:
    """Paint one frame; the later annotation keeps a pixel that two claim."""
    index = np.zeros(video.size, np.int16)
    shown: list[Instance] = []
    for instance in sorted(video.instances or (), key=lambda instance: instance.label != IGNORE):
        segmentation = instance.segmentations[time]
        if segmentation is None:
            continue
        if instance.label != IGNORE:
            shown.append(instance)
        run = _run(segmentation, video.size)
        value = len(shown) if instance.label != IGNORE else IGNORE
        rle.paint(index, run, value, file=instance.source, key=f"segmentations[{time}]")
    return labelled(
        index, [i.label for i in shown], [i.identity for i in shown], [i.crowd for i in shown]
    )  # fmt: skip


@dataclass(slots=True)
class Tube:
    """One object through a video, while it is gathered."""

    label: int
    ignored: bool
    segmentations: dict[int, rle.Rle] = field(default_factory=dict)  # by frame
    scores: list[float] = field(default_factory=list)


class Tubes:
    """Gathers a video's frames and writes its objects, as labels or as results."""

    def __init__(self) -> None:
        self._tubes: dict[tuple[int, int, bool], Tube] = {}
        self._size = (0, 0)
        self._length = 0

    def add(self, frame: FrameLabels) -> None:
        """Append the next frame."""
        height, width = frame.index.shape
        self._size = (height, width)
        runs = rle.encode_objects(frame.index, len(frame))
        for k, run in enumerate(runs):
            label, identity, ignored = int(frame.labels[k]), int(frame.ids[k]), bool(frame.ignored[k])
            tube = self._tubes.setdefault((identity, label, ignored), Tube(label, ignored))
            tube.segmentations[self._length] = run
            tube.scores.append(float(frame.scores[k]))
        if (frame.index == IGNORE).any():
            tube = self._tubes.setdefault((IGNORE, 0, True), Tube(0, True))
            tube.segmentations[self._length] = rle.encode(frame.index == IGNORE)
        self._length += 1

    def video(self, number: int, files: Sequence[str]) -> dict[str, Any]:
        """Return the entry of `videos`."""
        height, width = self._size
        sizes = {"height": height, "width": width, "length": self._length}
        return {"id": number, "file_names": list(files)} | sizes

    def annotations(self, video: int, category_ids: Sequence[int], first: int) -> list[dict[str, Any]]:
        """Return the entries of `annotations`, numbered from `first`.

        category_ids  of every label
        """
        return [
            self._annotation(tube, video, category_ids, number)
            for number, tube in enumerate(self._tubes.values(), start=first)
        ]

    def results(self, video: int, category_ids: Mapping[int, int] | Sequence[int]) -> list[dict[str, Any]]:
        """Return the entries of a results file: every object's score is the mean over its frames."""
        return [
            {
                "video_id": video,
                "category_id": category_ids[tube.label],
                "score": float(np.mean(tube.scores)),
                "segmentations": self._masks(tube),
            }
            for tube in self._tubes.values()
            if not tube.ignored
        ]

    def _masks(self, tube: Tube) -> list[rle.Rle | None]:
        return [tube.segmentations.get(time) for time in range(self._length)]

    def _annotation(self, tube: Tube, video: int, category_ids: Sequence[int], number: int) -> dict[str, Any]:
        masks = self._masks(tube)
        coded = [m and m | {"counts": m["counts"].encode("ascii")} for m in masks]
        height, width = self._size
        return {
            "id": number,
            "video_id": video,
            "category_id": category_ids[tube.label],
            "iscrowd": int(tube.ignored),
            "height": height,
            "width": width,
            "length": len(tube.segmentations),
            "segmentations": masks,
            "bboxes": [m and [float(v) for v in coco.toBbox(m)] for m in coded],
            "areas": [m and int(coco.area(m)) for m in coded],
        }


def categories(names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the entries of `categories`, numbered from 1."""
    return [{"id": k, "name": name, "supercategory": "object"} for k, name in enumerate(names, start=1)]


def _load(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise DataError(file, "file", "a YouTube-VIS label file", "no such file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(file, "file", "JSON", error) from error
    for key in ("videos", "categories", "annotations"):
        found = data.get(key) if isinstance(data, dict) else None
        if not isinstance(found, list) and (key != "annotations" or found is not None):
            raise DataError(file, key, "a list", type(found).__name__)
    return {"annotations": None} | data


def _video(entry: Any, instances: Sequence[Instance] | None, file: Path) -> Video:
    try:
        files = tuple(str(name) for name in entry["file_names"])
        video = Video(
            str(Path(files[0]).parent if files else entry["id"]),
            (int(entry["height"]), int(entry["width"])),
            files,
            None if instances is None else tuple(instances),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(file, "videos", "id, height, width, file_names", entry) from error
    for instance in instances or ():
        if len(instance.segmentations) != len(files):
            got = len(instance.segmentations)
            raise DataError(instance.source, "segmentations", f"one per frame, {len(files)}", got)
    return video


def _instance(entry: Any, table: Mapping[int, int], file: Path) -> tuple[int, Instance]:
    """Return the id of the video and the object."""
    if not isinstance(entry, dict):
        raise DataError(file, "annotations", "id, video_id, category_id, segmentations", entry)
    missing = [key for key in ("id", "video_id", "category_id", "segmentations") if key not in entry]
    if missing:
        raise DataError(file, "annotations", f"the key {missing[0]}", f"keys {sorted(entry)}")
    source = f"{file}: annotation {entry['id']}"
    if entry["category_id"] not in table:
        raise DataError(source, "category_id", f"one of {sorted(table)}", entry["category_id"])
    label, crowd = table[entry["category_id"]], bool(entry.get("iscrowd"))
    try:
        found = Instance(int(entry["id"]), label, crowd, tuple(entry["segmentations"]), source)
        return int(entry["video_id"]), found
    except (TypeError, ValueError) as error:
        raise DataError(source, "id, video_id, segmentations", "two numbers and a list", error) from error


def _run(segmentation: Any, size: tuple[int, int]) -> Any:
    """Return run lengths, of polygons too."""
    if isinstance(segmentation, list):
        return coco.merge(coco.frPyObjects(segmentation, *size))
    return segmentation
