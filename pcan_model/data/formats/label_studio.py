"""Label Studio's JSON export: brush masks, polygons and boxes of images, boxes of tracks in a video.

A region of an image is an object; its id is the identity, so that equal ids in several images are one track.
Label Studio keeps the ids of imported regions, and gives new ones to those drawn by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.core import rle
from pcan_model.core.errors import DataError
from pcan_model.core.numbers import finite, whole
from pcan_model.data.formats.label_studio_rle import decode_rle, encode_rle
from pcan_model.data.formats.labels import IGNORE
from pcan_model.data.formats.polygons import FEWEST, run_lengths
from pcan_model.data.formats.reading import OnError, raise_error, read_all, read_json
from pcan_model.data.formats.scalabel import Label

Size = tuple[int, int]
Box = tuple[float, float, float, float]  # x, y, width, height in per cent of the image
EXPECTED = "a JSON export of Label Studio: a list of tasks with data and annotations"
PREFIX = "track_"  # of the region ids that are written


@dataclass(frozen=True, slots=True)
class Task:
    """A task: an image with its objects, or a video with those of each frame."""

    source: str  # file name of the image or video
    frames: Mapping[int, tuple[Label, ...]]  # by index from 0; of an image 0
    video: bool


def read_tasks(file: Path, names: Sequence[str], on_error: OnError = raise_error) -> list[Task]:
    """Read the tasks, of each its last annotation that was not cancelled, else its first prediction.

    names     class names, in the order of labels; objects of other classes become ignore
    on_error  called with the error of each skipped task or region
    """
    data = read_json(file, EXPECTED)
    if not isinstance(data, list):
        raise DataError(file, "file", EXPECTED, type(data).__name__)
    return read_all(
        lambda pair: _task(pair[1], names, f"{file}: [{pair[0]}]", on_error), enumerate(data), on_error
    )


def _task(task: Any, names: Sequence[str], source: str, on_error: OnError) -> Task:
    values = task.get("data") if isinstance(task, dict) else None
    texts = values if isinstance(values, dict) else {}
    kind = next((key for key in ("image", "video") if isinstance(texts.get(key), str)), None)
    if kind is None:
        raise DataError(source, "data", "image or video with a path or URL", repr(values))
    result = [each for each in _result(task) if isinstance(each, dict) and each.get("type") in READERS]
    found = read_all(lambda region: list(_region(region, names, source)), result, on_error)
    frames: dict[int, list[Label]] = {}
    for index, label in (pair for pairs in found for pair in pairs):
        frames.setdefault(index, []).append(label)
    name = texts[kind].split("?")[0].replace("\\", "/").rpartition("/")[2]
    return Task(name, {index: tuple(labels) for index, labels in frames.items()}, kind == "video")


def _result(task: dict[str, Any]) -> list[Any]:
    annotations = [each for each in task.get("annotations") or () if isinstance(each, dict)]
    kept = [each for each in annotations if not each.get("was_cancelled")]
    predictions = [each for each in task.get("predictions") or () if isinstance(each, dict)]
    chosen = kept[-1] if kept else predictions[0] if predictions else {}
    return list(chosen.get("result") or ())


def _region(region: dict[str, Any], names: Sequence[str], source: str) -> Iterator[tuple[int, Label]]:
    """Yield frame and object of a region; raises DataError naming it."""
    identity = str(region.get("id", ""))
    kind, value = str(region["type"]), region.get("value")
    key = f"region {identity}: {kind}"
    if not isinstance(value, dict):
        raise DataError(source, key, "a value", repr(value))
    marks = value.get(kind) or value.get("labels") or ()
    label = names.index(marks[0]) if marks and marks[0] in names else IGNORE
    try:
        size = rle.size_from(region.get("original_height"), region.get("original_width"))
        if size is None and kind != "videorectangle":
            raise ValueError("original_height and original_width")
        for index, run, box in READERS[kind](value, size or (1, 1)):
            yield index, Label(label, identity.removeprefix(PREFIX), False, run, (), box)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(source, key, error, str(value)[:80]) from error


Found = Iterator[tuple[int, rle.Rle | None, tuple[float, ...] | None]]  # frame, mask, or box in pixels


def _brush(value: dict[str, Any], size: Size) -> Found:
    yield 0, rle.encode(decode_rle(value["rle"], size)), None


def _polygon(value: dict[str, Any], size: Size) -> Found:
    points = [_numbers(point, 2) for point in value["points"]]
    scaled = [side * extent / 100 for point in points for side, extent in zip(point, size[::-1], strict=True)]
    mask, _ = run_lengths([scaled], size)
    if mask is None:
        raise ValueError(f"{FEWEST} corners or more")
    yield 0, mask, None


def _rectangle(value: dict[str, Any], size: Size) -> Found:
    yield 0, None, _pixels(_box(value), size)


def _video(value: dict[str, Any], size: Size) -> Found:
    """Yield the boxes of a track, between key frames on a straight line; they need the size of the video."""
    keys = sorted(value["sequence"], key=lambda key: int(key["frame"]))
    for key, following in zip(keys, [*keys[1:], None], strict=True):
        first, last = int(key["frame"]), int(key["frame"])
        if key.get("enabled") and following is None:
            last = whole(value.get("framesCount")) or first
        elif key.get("enabled") and following is not None:
            last = int(following["frame"]) - 1
        here, there = np.array(_box(key)), np.array(_box(following or key))
        for frame in range(first, last + 1):
            share = (frame - first) / (last + 1 - first)
            x, y, w, h = (here + share * (there - here)).tolist()
            yield frame - 1, None, _pixels((x, y, w, h), size)


def _box(value: dict[str, Any]) -> Box:
    if finite(value.get("rotation") or 0):
        raise ValueError("a box without rotation")
    x, y, width, height = _numbers([value.get(key) for key in ("x", "y", "width", "height")], 4)
    return x, y, width, height


def _numbers(values: Sequence[Any], count: int) -> list[float]:
    found = [number for value in values if (number := finite(value)) is not None]
    if len(found) != count or len(values) != count:
        raise ValueError(f"{count} finite numbers")
    return found


def _pixels(box: Box, size: Size) -> tuple[float, ...]:
    """Return a box as inclusive pixels x1, y1, x2, y2."""
    (height, width), (x, y, w, h) = size, box
    return x * width / 100, y * height / 100, (x + w) * width / 100 - 1, (y + h) * height / 100 - 1


READERS: dict[str, Callable[[dict[str, Any], Size], Found]] = {
    "brushlabels": _brush,
    "polygonlabels": _polygon,
    "rectanglelabels": _rectangle,
    "videorectangle": _video,
}


def brush_region(identity: int, label: str, mask: NDArray[Any], score: float) -> dict[str, Any]:
    """Return a region of an object with a mask (H, W), as in an import of predictions."""
    height, width = mask.shape
    value = {"format": "rle", "rle": encode_rle(mask), "brushlabels": [label]}
    names = {"id": f"{PREFIX}{identity}", "type": "brushlabels", "from_name": "tag", "to_name": "image"}
    sizes = {"original_width": width, "original_height": height, "image_rotation": 0}
    return names | sizes | {"value": value, "score": score}


def video_region(
    identity: int, label: str, boxes: Mapping[int, Box], count: int, rate: float
) -> dict[str, Any]:
    """Return a region of a track with a key frame for each box, by frame from 0; it ends before gaps.

    count  frames of the video
    """
    sequence = [
        dict(zip(("x", "y", "width", "height"), box, strict=True))
        | {"frame": frame + 1, "time": frame / rate, "enabled": frame + 1 in boxes, "rotation": 0}
        for frame, box in sorted(boxes.items())
    ]
    value = {"framesCount": count, "duration": count / rate, "sequence": sequence, "labels": [label]}
    names = {"id": f"{PREFIX}{identity}", "type": "videorectangle", "from_name": "box", "to_name": "video"}
    return names | {"value": value}
