"""YouTube-VIS JSON: videos, and an annotation per object with a mask or null for every frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from pcan_model.core import rle
from pcan_model.core.errors import DataError
from pcan_model.core.numbers import whole
from pcan_model.core.rle import size_from
from pcan_model.data.formats.labels import IGNORE, FrameLabels, labelled
from pcan_model.data.formats.polygons import FEWEST, run_lengths
from pcan_model.data.formats.reading import OnError, lenient, raise_error, read_all, read_json

NAMES = {"person": "pedestrian", "sedan": "car", "motorbike": "motorcycle"}  # other names of the classes


@dataclass(frozen=True, slots=True)
class Instance:
    """One object of one video, with encoded masks."""

    identity: int
    label: int  # index into the classes, or IGNORE
    crowd: bool
    segmentations: tuple[Any, ...]  # per frame: run lengths, polygons, or None if not visible
    source: str  # file and annotation, for error messages


@dataclass(frozen=True, slots=True)
class VideoEntry:
    """A video with its images and objects."""

    name: str
    size: tuple[int, int]  # H, W in pixels
    files: tuple[str, ...]  # images, below JPEGImages
    instances: tuple[Instance, ...] | None  # None without labels
    number: int = 0  # id in the file


def read_videos(file: Path, names: Sequence[str], on_error: OnError = raise_error) -> list[VideoEntry]:
    """Read the videos of a file, in its order.

    names     class names, in the order of labels; categories are matched by name or by NAMES, and objects
              of others become ignore
    on_error  called with the error of each skipped annotation or video

    The files of the official val and test sets have no annotations, since these are private.
    Raises DataError if a key is missing, or no category matches a class.
    """
    return parse_videos(_load(file), file, names, on_error)


def parse_videos(
    data: Mapping[str, Any], file: Path, names: Sequence[str], on_error: OnError
) -> list[VideoEntry]:
    """Read the videos of a file's content: videos, categories, and annotations or None, see `read_videos`."""
    table = categories_to_labels(data["categories"], names, file)
    hidden = data["annotations"] is None
    entries = read_all(lambda entry: _instance(entry, table, file), data["annotations"] or (), on_error)
    videos = _drop_duplicates(
        read_all(lambda entry: _video(entry, hidden, file), data["videos"], on_error), file, on_error
    )
    instances = _by_video(entries, videos, file, on_error)
    counts = Counter(video.name for video in videos)
    return [
        replace(
            video,
            name=video.name if counts[video.name] == 1 else f"{video.name}-{number}",
            instances=None if hidden else tuple(instances[video.number]),
        )
        for number, video in enumerate(videos, start=1)
    ]


def _drop_duplicates(videos: Sequence[VideoEntry], file: Path, on_error: OnError) -> list[VideoEntry]:
    """Drop videos with a duplicate id."""
    known: dict[int, VideoEntry] = {}
    for video in videos:
        if known.setdefault(video.number, video) is not video:
            on_error(DataError(file, "videos.id", "a unique one for each", f"{video.number} again"))
    return list(known.values())


def _by_video(
    entries: Sequence[tuple[int, Instance]], videos: Sequence[VideoEntry], file: Path, on_error: OnError
) -> dict[int, list[Instance]]:
    """Group objects by video, checking the number of segmentations and the uniqueness of ids."""
    found: dict[int, list[Instance]] = {video.number: [] for video in videos}
    lengths = {video.number: len(video.files) for video in videos}
    known: set[tuple[int, int]] = set()
    unknown: set[int] = set()
    for number, instance in entries:
        got = len(instance.segmentations)
        if number not in found:
            unknown.add(number)
        elif got != lengths[number]:
            on_error(DataError(instance.source, "segmentations", f"one per frame, {lengths[number]}", got))
        elif instance.label != IGNORE and (number, instance.identity) in known:
            on_error(DataError(instance.source, "id", "once in a video", f"{instance.identity} again"))
        else:
            found[number].append(instance)
            if instance.label != IGNORE:
                known.add((number, instance.identity))
    if unknown:
        on_error(DataError(file, "annotations.video_id", "an id of videos", sorted(unknown)[:5]))
    return found


def categories_to_labels(categories: Any, names: Sequence[str], file: Path | str) -> dict[int, int]:
    """Map category ids to labels: an index into `names`, or IGNORE."""
    table: dict[int, int] = {}
    for entry in categories:
        number = whole(entry.get("id")) if isinstance(entry, dict) else None
        if number is None or not isinstance(entry.get("name"), str):
            raise DataError(file, "categories", "entries with id and name", entry)
        if number in table:
            raise DataError(file, "categories.id", "a unique one for each", f"{number} twice")
        name = entry["name"] if entry["name"] in names else NAMES.get(entry["name"])
        table[number] = names.index(name) if name in names else IGNORE
    if all(label == IGNORE for label in table.values()):
        found = [entry["name"] for entry in categories]
        raise DataError(file, "categories", f"some of the classes {list(names)}", found)
    return table


def decode(video: VideoEntry, time: int, on_error: OnError = raise_error) -> FrameLabels:
    """Decode a frame; of overlapping annotations the later one keeps the pixels.

    on_error  called with the error of each skipped object
    """
    index = np.zeros(video.size, np.int16)
    objects: list[Instance] = []
    for instance in sorted(video.instances or (), key=lambda instance: instance.label != IGNORE):
        key = f"segmentations[{time}]"
        value = len(objects) + 1 if instance.label != IGNORE else IGNORE
        try:
            run = outline_of(instance.segmentations[time], video.size, instance.source, key, on_error)
            if run is None:
                continue
            rle.paint(index, run, value, file=instance.source, key=key)
        except DataError as error:
            on_error(error)
            continue
        if instance.label != IGNORE:
            objects.append(instance)
    return labelled(
        index, [i.label for i in objects], [i.identity for i in objects], [i.crowd for i in objects]
    )  # fmt: skip


def outline_of(segmentation: Any, size: tuple[int, int], source: str, key: str, on_error: OnError) -> Any:
    """Return run lengths, also for polygons; None if the object is not visible.

    on_error  called with the error of polygons with fewer than three corners, which are skipped
    """
    if not isinstance(segmentation, list):
        return segmentation
    expected = f"polygons of {FEWEST} corners or more"
    try:
        run, skipped = run_lengths(segmentation, size)
    except ValueError as error:
        raise DataError(source, key, expected, error) from error
    if skipped:
        got = f"{skipped} of fewer" if segmentation else "none"
        lenient(on_error)(DataError(source, key, expected, got))
    return run


@dataclass(slots=True)
class TubeEntry:
    """One object of a video, while it is collected."""

    label: int
    ignored: bool
    segmentations: dict[int, rle.Rle] = field(default_factory=dict)  # by frame
    scores: list[float] = field(default_factory=list)


class Tubes:
    """Collects a video's frames and encodes its objects as labels or results."""

    def __init__(self) -> None:
        self._tubes: dict[tuple[int, int, bool], TubeEntry] = {}
        self._size = (0, 0)
        self._length = 0

    def add(self, frame: FrameLabels) -> None:
        """Append the next frame."""
        height, width = frame.index.shape
        self._size = (height, width)
        runs = rle.encode_objects(frame.index, len(frame))
        for k, run in enumerate(runs):
            label, identity, ignored = int(frame.labels[k]), int(frame.ids[k]), bool(frame.ignored[k])
            tube = self._tubes.setdefault((identity, label, ignored), TubeEntry(label, ignored))
            tube.segmentations[self._length] = run
            tube.scores.append(float(frame.scores[k]))
        if (frame.index == IGNORE).any():
            tube = self._tubes.setdefault((IGNORE, 0, True), TubeEntry(0, True))
            tube.segmentations[self._length] = rle.encode(frame.index == IGNORE)
        self._length += 1

    def video(self, number: int, files: Sequence[str]) -> dict[str, Any]:
        """Return the entry for `videos`."""
        height, width = self._size
        sizes = {"height": height, "width": width, "length": self._length}
        return {"id": number, "file_names": list(files)} | sizes

    def annotations(self, video: int, category_ids: Sequence[int], first: int) -> list[dict[str, Any]]:
        """Return the entries for `annotations`, numbered from `first`.

        category_ids  by label
        """
        return [
            self._annotation(tube, video, category_ids, number)
            for number, tube in enumerate(self._tubes.values(), start=first)
        ]

    def _masks(self, tube: TubeEntry) -> list[rle.Rle | None]:
        return [tube.segmentations.get(time) for time in range(self._length)]

    def _annotation(
        self, tube: TubeEntry, video: int, category_ids: Sequence[int], number: int
    ) -> dict[str, Any]:
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
    """Return the entries for `categories`, numbered from 1."""
    return [{"id": k, "name": name, "supercategory": "object"} for k, name in enumerate(names, start=1)]


def _load(file: Path) -> dict[str, Any]:
    data = read_json(file, "a YouTube-VIS label file")
    for key in ("videos", "categories", "annotations"):
        found = data.get(key) if isinstance(data, dict) else None
        if not isinstance(found, list) and (key != "annotations" or found is not None):
            raise DataError(file, key, "a list", type(found).__name__)
    return {"annotations": None} | data


def _video(entry: Any, hidden: bool, file: Path) -> VideoEntry:
    expected = "id, height, width, file_names"
    files = entry.get("file_names") if isinstance(entry, dict) else None
    if not isinstance(files, list) or not all(isinstance(name, str) and name for name in files):
        raise DataError(file, "videos", expected, entry)
    number, size = whole(entry.get("id")), size_from(entry.get("height"), entry.get("width"))
    if number is None or size is None:
        raise DataError(file, "videos", expected, entry)
    name = str(Path(files[0]).parent if files else number)
    return VideoEntry(name, size, tuple(files), None if hidden else (), number)


def _instance(entry: Any, table: Mapping[int, int], file: Path) -> tuple[int, Instance]:
    """Return the video id and the object."""
    if not isinstance(entry, dict):
        raise DataError(file, "annotations", "id, video_id, category_id, segmentations", entry)
    missing = [key for key in ("id", "video_id", "category_id", "segmentations") if key not in entry]
    if missing:
        raise DataError(file, "annotations", f"the key {missing[0]}", f"keys {sorted(entry)}")
    source = f"{file}: annotation {entry['id']}"
    identity, video, masks = whole(entry["id"]), whole(entry["video_id"]), entry["segmentations"]
    if identity is None or abs(identity) >= 1 << 62 or video is None or not isinstance(masks, list):
        got = [type(entry[key]).__name__ for key in ("id", "video_id", "segmentations")]
        raise DataError(source, "id, video_id, segmentations", "two whole numbers and a list", got)
    category, crowd = whole(entry["category_id"]), entry.get("iscrowd") or 0
    if category is None or category not in table:
        raise DataError(source, "category_id", f"one of {sorted(table)}", entry["category_id"])
    if crowd not in (0, 1):
        raise DataError(source, "iscrowd", "0 or 1", repr(crowd))
    return video, Instance(identity, table[category], bool(crowd), tuple(masks), source)
