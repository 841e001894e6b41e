"""Scalabel JSON, as BDD100K has it: frames with labels, each with run lengths, polygons or a box only."""

from __future__ import annotations

import json
import math
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
from pcan_model.data.formats.identities import only
from pcan_model.data.formats.labels import IGNORE, FrameLabels, labelled
from pcan_model.data.formats.polygons import fill_polygons

NAMES = {name: name for name in CLASSES} | {  # the name mapping of BDD100K's own config
    "person": "pedestrian",
    "bike": "bicycle",
    "motor": "motorcycle",
    "van": "car",
    "caravan": "car",
}
IGNORED_NAMES = {  # its ignored mapping
    "other person": "pedestrian",
    "other vehicle": "car",
    "trailer": "truck",
    "ignored": "car",
}
EXTRA_NAMES = {"traffic light", "traffic sign"}  # of det_20: no moving objects, background here
CATEGORIES = {name: name for name in CLASSES}
FIRST_IGNORED_ID = 30_001


@dataclass(frozen=True, slots=True)
class Label:
    """One label of one frame, mask still encoded."""

    label: int  # index into the classes asked for, or IGNORE
    identity: str  # as in the file
    ignored: bool  # crowd or ignored
    rle: dict[str, Any] | None  # COCO run lengths: size, counts
    polygons: tuple[dict[str, Any], ...]  # poly2d, used where no rle is
    box: tuple[float, ...] | None  # x1 y1 x2 y2 in pixels, the last ones included; where neither is

    @property
    def boxed(self) -> bool:
        """Whether only the object's box is known."""
        return self.rle is None and not self.polygons


def read_frames(file: Path) -> list[dict[str, Any]]:
    """Read the list of frames, which Scalabel keeps bare or under the key `frames`.

    Raises DataError where the file is no such list, or a frame has no name.
    """
    try:
        data = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise DataError(file, "file", "a Scalabel label file", "no such file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(file, "file", "JSON", error) from error
    frames = data.get("frames") if isinstance(data, dict) else data
    if not isinstance(frames, list):
        raise DataError(file, "frames", "a list of frames", type(frames).__name__)
    for index, frame in enumerate(frames):
        if not isinstance(frame, dict) or not isinstance(frame.get("name"), str):
            raise DataError(file, f"frames[{index}].name", "the name of a picture", frame)
        if not isinstance(frame.get("frameIndex") or 0, (int, float)):
            raise DataError(file, f"frames[{index}].frameIndex", "a number", repr(frame["frameIndex"]))
    return cast(list[dict[str, Any]], frames)


def labels_of(frame: dict[str, Any], names: Sequence[str], source: str) -> tuple[Label, ...]:
    """Check a frame's labels; those that are background to us are left out.

    names   of the classes that labels count; other classes of BDD100K are ignored
    source  label file and frame name, for error messages
    """
    entries = frame.get("labels") or ()
    if not isinstance(entries, (list, tuple)):
        raise DataError(source, "labels", "a list", type(entries).__name__)
    found = (_label(entry, names, source) for entry in entries)
    return tuple(label for label in found if label is not None)


def number_ids(frames: Sequence[Sequence[Label]]) -> dict[str, int]:
    """Give every identity a number: its own where all are numbers, else 1, 2, … as they appear."""
    known = list(dict.fromkeys(label.identity for labels in frames for label in labels))
    if all(name.isdecimal() for name in known) and len({int(name) for name in known}) == len(known):
        return {identity: int(identity) for identity in known}
    return {identity: number for number, identity in enumerate(known, start=1)}


def size_of(labels: Sequence[Label]) -> tuple[int, int] | None:
    """Return H, W of a frame, as the first run lengths say; None where there are none."""
    sizes = (label.rle.get("size") for label in labels if isinstance(label.rle, dict))
    size = next(sizes, None)
    return (int(size[0]), int(size[1])) if isinstance(size, list) and len(size) == 2 else None


def decode(labels: Sequence[Label], size: tuple[int, int], ids: dict[str, int], source: str) -> FrameLabels:
    """Paint a frame's labels on (H, W) = `size`; the later one keeps a pixel that two claim.

    An object known by its box only is its rectangle, ignored as FrameLabels says; rectangles lie below
    outlines, larger ones below smaller ones. One that smaller ones hide altogether is not seen.

    ids  number of every identity of the clip
    """
    index = np.zeros(size, np.int16)
    numbers: dict[tuple[str, int, bool], int] = {}  # two labels of one object share one
    objects: list[Label] = []
    for label in sorted(labels, key=_layer):
        number = IGNORE
        if label.label != IGNORE:
            number = numbers.setdefault((label.identity, label.label, label.ignored), len(numbers) + 1)
            objects += [label] if number > len(objects) else []
        _paint(index, label, number, source)
    return labelled(
        index,
        [label.label for label in objects],
        [ids[label.identity] for label in objects],
        [label.ignored or label.boxed for label in objects],
        boxes=[_edges(label, size) for label in objects],
    )


def _layer(label: Label) -> tuple[bool, bool, float]:
    """Sort key of painting, the lowest first; outlines keep their order."""
    x1, y1, x2, y2 = label.box if label.boxed and label.box else (0.0,) * 4
    return label.label != IGNORE, not label.boxed, -(x2 - x1 + 1) * (y2 - y1 + 1)


def _edges(label: Label, size: tuple[int, int]) -> tuple[float, ...]:
    """Return the edges of an object known by its box only, within the picture; NaN for others."""
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
    """Return the entry of a frame; where a score is below 1 it stands beside the label.

    A region that is ignored without a class becomes an ignored crowd; the official evaluation
    forgives what any class finds there.

    names  of the classes that the frame's labels count
    other  what objects of further classes become: IGNORE (labels) or BACKGROUND (predictions)
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
    """Check one label; None for what is background to us."""
    if not isinstance(entry, dict):
        raise DataError(source, "labels", "objects with id and category", entry)
    for key in ("id", "category"):
        if key not in entry:
            raise DataError(source, f"labels.{key}", "a value", f"keys {sorted(entry)}")
    for key, kind in (("category", str), ("attributes", dict), ("poly2d", list)):
        if not isinstance(entry.get(key) or kind(), kind):
            raise DataError(source, f"label {entry['id']}: {key}", f"a {kind.__name__}", repr(entry[key]))
    category, identity = entry["category"], str(entry["id"])
    meant = (NAMES | IGNORED_NAMES).get(category, category)
    if meant not in names and meant not in CATEGORIES and category not in EXTRA_NAMES:
        known = ", ".join(sorted({*names, *NAMES, *IGNORED_NAMES, *EXTRA_NAMES}))
        raise DataError(source, f"label {identity}: category", f"one of {known}", repr(category))
    if category in EXTRA_NAMES and category not in names:
        return None
    flags = entry | (entry.get("attributes") or {})
    ignored = category in IGNORED_NAMES or bool(flags.get("crowd")) or bool(flags.get("ignored"))
    return Label(
        names.index(meant) if meant in names else IGNORE,
        identity,
        ignored,
        entry.get("rle"),
        tuple(entry.get("poly2d") or ()),
        _box(entry.get("box2d"), f"label {identity}: box2d", source),
    )


def _box(box: Any, key: str, source: str) -> tuple[float, ...] | None:
    if box is None:
        return None
    try:
        return tuple(float(box[side]) for side in ("x1", "y1", "x2", "y2"))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(source, key, "x1, y1, x2, y2", box) from error


def _paint(index: NDArray[np.int16], label: Label, value: int, source: str) -> None:
    key = f"label {label.identity}"
    if label.rle is not None:
        rle.paint(index, label.rle, value, file=source, key=f"{key}: rle")
    elif label.polygons:
        height, width = index.shape
        try:
            index[fill_polygons(label.polygons, (height, width))] = value
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(source, f"{key}: poly2d", "polygons with vertices [x, y]", error) from error
    elif label.box is not None:
        x1, y1, x2, y2 = (max(0, round(side)) for side in label.box)
        index[y1 : y2 + 1, x1 : x2 + 1] = value
    else:
        raise DataError(source, key, "rle, poly2d or box2d", "none of them")
