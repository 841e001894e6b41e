"""Scalabel JSON as in BDD100K: frames of labels with run lengths, polygons or boxes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from pcan_model.core import rle
from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.core.numbers import finite, whole
from pcan_model.data.formats.identities import only
from pcan_model.data.formats.labels import IGNORE, FrameLabels, labelled
from pcan_model.data.formats.polygons import FEWEST, corners, fill_polygons
from pcan_model.data.formats.reading import OnError, lenient, raise_error, read_all, read_json

NAMES = {name: name for name in CLASSES} | {  # name_mapping of BDD100K's config
    "person": "pedestrian",
    "bike": "bicycle",
    "motor": "motorcycle",
    "van": "car",
    "caravan": "car",
}
IGNORED_NAMES = {  # ignore_mapping of BDD100K's config
    "other person": "pedestrian",
    "other vehicle": "car",
    "trailer": "truck",
    "ignored": "car",
}
EXTRA_NAMES = {"traffic light", "traffic sign"}  # of det_20; treated as background
CATEGORIES = {name: name for name in CLASSES}
FIRST_IGNORED_ID = 30_001
PLAIN = re.compile(r"[0-9]{1,18}", re.ASCII)  # a numeric identity


@dataclass(frozen=True, slots=True)
class Label:
    """One label of one frame, with an encoded mask."""

    label: int  # index into the classes, or IGNORE
    identity: str  # as in the file
    ignored: bool  # crowd or ignored
    rle: dict[str, Any] | None  # COCO run lengths: size, counts
    polygons: tuple[dict[str, Any], ...]  # poly2d, used without rle
    box: tuple[float, ...] | None  # x1 y1 x2 y2 in pixels, inclusive; used without either

    @property
    def boxed(self) -> bool:
        """Return whether the object has a box only."""
        return self.rle is None and not self.polygons

    @property
    def outlined(self) -> bool:
        """Return whether the mask is given by polygons."""
        return self.rle is None and bool(self.polygons)


def read_frames(file: Path, on_error: OnError = raise_error) -> list[dict[str, Any]]:
    """Read the list of frames, at the top level or under the key `frames`.

    on_error  called with the error of each skipped frame

    Raises DataError if there is no such list.
    """
    data = read_json(file, "a Scalabel label file")
    frames = data.get("frames") if isinstance(data, dict) else data
    if not isinstance(frames, list):
        raise DataError(file, "frames", "a list of frames", type(frames).__name__)
    return read_all(lambda item: _frame(item[1], f"frames[{item[0]}]", file), enumerate(frames), on_error)


def _frame(frame: Any, key: str, file: Path) -> dict[str, Any]:
    """Validate the keys that identify a frame."""
    if not isinstance(frame, dict) or not isinstance(frame.get("name"), str) or not frame["name"]:
        raise DataError(file, f"{key}.name", "the name of an image", frame)
    if frame.get("frameIndex") is not None and whole(frame["frameIndex"]) is None:
        raise DataError(file, f"{key}.frameIndex", "a number", repr(frame["frameIndex"]))
    if not isinstance(frame.get("videoName") or "", str):
        raise DataError(file, f"{key}.videoName", "the name of a video", repr(frame["videoName"]))
    return cast(dict[str, Any], frame)


def labels_of(
    frame: dict[str, Any], names: Sequence[str], source: str, on_error: OnError = raise_error
) -> tuple[Label, ...]:
    """Validate a frame's labels, dropping those treated as background.

    names     class names, in the order of labels; other classes of BDD100K become ignore
    source    label file and frame name, for error messages
    on_error  called with the error of each skipped label
    """
    entries = frame.get("labels") or ()
    if not isinstance(entries, (list, tuple)):
        raise DataError(source, "labels", "a list", type(entries).__name__)
    found = read_all(lambda entry: _label(entry, names, source), entries, on_error)
    return tuple(label for label in found if label is not None)


def number_ids(frames: Sequence[Sequence[Label]]) -> dict[str, int]:
    """Map identities to numbers: themselves if all are numeric, else 1, 2, … in order of appearance."""
    known = list(dict.fromkeys(label.identity for labels in frames for label in labels))
    numbers = all(PLAIN.fullmatch(name) for name in known)
    if numbers and len({int(name) for name in known}) == len(known):
        return {identity: int(identity) for identity in known}
    return {identity: number for number, identity in enumerate(known, start=1)}


def size_of(labels: Sequence[Label]) -> tuple[int, int] | None:
    """Return (H, W) of a frame from the first run lengths; None if there are none."""
    return next((rle.size_of(label.rle) for label in labels if isinstance(label.rle, dict)), None)


def decode(
    labels: Sequence[Label],
    size: tuple[int, int],
    ids: dict[str, int],
    source: str,
    on_error: OnError = raise_error,
) -> FrameLabels:
    """Decode a frame's labels to (H, W) = `size`; of overlapping labels the later one keeps the pixels.

    An object with a box only is drawn as a rectangle and ignored, see FrameLabels. Rectangles are drawn
    below masks, and larger ones below smaller ones; a completely hidden one is not visible.
    Boxes that are inverted or outside the image, and polygons with fewer than three corners, are skipped.
    Polygons with the same identity are one object, as in the toolkit; other labels need unique identities.

    ids       numbers of the clip's identities
    on_error  called with the error of each skipped label
    """
    index = np.zeros(size, np.int16)
    numbers: dict[tuple[str, int, bool], int] = {}
    objects: list[Label] = []
    for label in sorted(labels, key=_layer):
        key = (label.identity, label.label, label.ignored)
        number = IGNORE if label.label == IGNORE else numbers.get(key, len(objects) + 1)
        try:
            if key in numbers and not (label.ignored or (label.outlined and objects[number - 1].outlined)):
                raise DataError(source, f"label {label.identity}: id", "one label of each id", "another")
            painted = _paint(index, label, number, source, on_error)
        except DataError as error:
            on_error(error)
            continue
        if painted and number > len(objects):
            numbers[key] = number
            objects.append(label)
    return labelled(
        index,
        [label.label for label in objects],
        [ids[label.identity] for label in objects],
        [label.ignored or label.boxed for label in objects],
        boxes=[_edges(label, size) for label in objects],
    )


def _layer(label: Label) -> tuple[bool, bool, float]:
    """Return the sort key of drawing, bottom first; masks keep their order."""
    x1, y1, x2, y2 = label.box if label.boxed and label.box else (0.0,) * 4
    return label.label != IGNORE, not label.boxed, -(x2 - x1 + 1) * (y2 - y1 + 1)


def _edges(label: Label, size: tuple[int, int]) -> tuple[float, ...]:
    """Return the clipped box of an object with a box only; NaN for others."""
    if label.ignored or not label.boxed or label.box is None:
        return (math.nan,) * 4
    x1, y1, x2, y2 = label.box
    return max(0.0, x1), max(0.0, y1), min(size[1], x2 + 1), min(size[0], y2 + 1)


def encode(
    frame: FrameLabels,
    names: Sequence[str],
    *,
    name: str,
    video: str,
    time: int,
    other: int = IGNORE,
) -> dict[str, Any]:
    """Encode a frame; scores below 1 are included.

    An ignored region without a class becomes an ignored crowd, where the official evaluation accepts
    predictions of any class.

    names  class names, in the order of labels
    other  value for objects of other classes: IGNORE (labels) or BACKGROUND (predictions)
    """
    frame = only(frame, names, CATEGORIES, other)
    entries = [
        _entry(run, names[frame.labels[k]], int(frame.ids[k]), ignored=bool(frame.ignored[k]))
        | ({"score": float(frame.scores[k])} if frame.scores[k] < 1 else {})
        for k, run in enumerate(rle.encode_objects(frame.index, len(frame)))
    ]
    if (frame.index == IGNORE).any():
        entries.append(_entry(rle.encode(frame.index == IGNORE), "car", FIRST_IGNORED_ID, ignored=True))
    return {"name": name, "videoName": video, "frameIndex": time, "labels": entries}


def _entry(run: rle.Rle, category: str, identity: int, *, ignored: bool) -> dict[str, Any]:
    x, y, w, h = (float(v) for v in coco.toBbox(run | {"counts": run["counts"].encode("ascii")}))
    return {
        "id": str(identity),
        "category": category,
        "attributes": {"crowd": ignored, "ignored": ignored},
        "box2d": {"x1": x, "y1": y, "x2": x + w - 1, "y2": y + h - 1},
        "rle": run,
    }


def _label(entry: Any, names: Sequence[str], source: str) -> Label | None:
    """Validate a label; returns None if it is treated as background."""
    if not isinstance(entry, dict):
        raise DataError(source, "labels", "objects with id and category", entry)
    for key in ("id", "category"):
        if key not in entry:
            raise DataError(source, f"labels.{key}", "a value", f"keys {sorted(entry)}")
    identity = identity_of(entry["id"])
    if identity is None:
        raise DataError(source, "labels.id", "text or a whole number", repr(entry["id"]))
    for key, kind in (("category", str), ("attributes", dict), ("poly2d", list)):
        if entry.get(key) is not None and not isinstance(entry[key], kind):
            raise DataError(source, f"label {identity}: {key}", f"a {kind.__name__}", repr(entry[key]))
    category = entry["category"] or ""
    mapped = category if category in names else (NAMES | IGNORED_NAMES).get(category, category)
    if mapped not in names and mapped not in CATEGORIES and category not in EXTRA_NAMES:
        known = ", ".join(sorted({*names, *NAMES, *IGNORED_NAMES, *EXTRA_NAMES}))
        raise DataError(source, f"label {identity}: category", f"one of {known}", repr(category))
    if category in EXTRA_NAMES and category not in names:
        return None
    return Label(
        names.index(mapped) if mapped in names else IGNORE,
        identity,
        (category in IGNORED_NAMES and category not in names)
        or is_ignored(entry, f"{source}: label {identity}"),
        entry.get("rle"),
        tuple(entry.get("poly2d") or ()),
        _box(entry.get("box2d"), f"label {identity}: box2d", source),
    )


def identity_of(value: object) -> str | None:
    """Return an identity as text; None unless it is text or a whole number."""
    if isinstance(value, str):
        return value
    number = whole(value)
    return None if number is None else str(number)


def is_ignored(entry: dict[str, Any], source: str) -> bool:
    """Return whether a label is a crowd or ignored, by its attributes or, in old files, its own keys."""
    flags = entry | (entry.get("attributes") or {})
    values = [flags.get(key) or False for key in ("crowd", "ignored")]
    if not all(isinstance(value, bool) or value == 1 for value in values):
        raise DataError(source, "crowd, ignored", "true or false", values)
    return any(values)


def _box(box: Any, key: str, source: str) -> tuple[float, ...] | None:
    if box is None:
        return None
    sides = [finite(box.get(side)) if isinstance(box, dict) else None for side in ("x1", "y1", "x2", "y2")]
    known = tuple(side for side in sides if side is not None)
    if len(known) < len(sides):
        raise DataError(source, key, "x1, y1, x2, y2", box)
    return known


def _paint(index: NDArray[np.int16], label: Label, value: int, source: str, on_error: OnError) -> bool:
    """Draw a label, in place; returns whether it was drawn."""
    key = f"label {label.identity}"
    if label.rle is not None:
        rle.paint(index, label.rle, value, file=source, key=f"{key}: rle")
        return True
    if label.polygons:
        return _paint_polygons(index, label, value, source, on_error)
    if label.box is None:
        raise DataError(source, key, "rle, poly2d or box2d", "none of them")
    height, width = index.shape
    x1, y1, x2, y2 = label.box
    if not (x1 <= x2 and y1 <= y2 and x1 < width and y1 < height and x2 >= 0 and y2 >= 0):
        inside = f"x1 <= x2, y1 <= y2 and a part within the image, {width} x {height}"
        lenient(on_error)(DataError(source, f"{key}: box2d", inside, label.box))
        return False
    left, top, right, bottom = (max(0, round(side)) for side in label.box)
    index[top : bottom + 1, left : right + 1] = value
    return True


def _paint_polygons(
    index: NDArray[np.int16], label: Label, value: int, source: str, on_error: OnError
) -> bool:
    key, expected = f"label {label.identity}: poly2d", f"polygons of vertices [x, y], {FEWEST} or more"
    try:
        counts = [len(corners(polygon)[0]) for polygon in label.polygons]
        mask = fill_polygons(label.polygons, (index.shape[0], index.shape[1]))
    except ValueError as error:
        raise DataError(source, key, expected, error) from error
    if min(counts) < FEWEST:
        lenient(on_error)(DataError(source, key, expected, f"one of {min(counts)}"))
    index[mask] = value
    return max(counts) >= FEWEST
