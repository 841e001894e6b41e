"""BDD100K's own numbers from result files: Scalabel JSON with run lengths, or folders of bitmasks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.core.rle import check
from pcan_model.data.files import read_picture
from pcan_model.data.formats import bdd100k
from pcan_model.evaluation.metrics.comparison import Objects, Rle, encode

NOTHING = Objects((), np.zeros(0, np.int64), np.zeros(0, np.int64))
MOST = 100  # instances of a frame that the official tool takes in bitmasks


@dataclass(frozen=True, slots=True, eq=False)
class ScoredClip:
    """A clip's labels and what was said of it, frame by frame."""

    name: str
    truth: tuple[Objects, ...]
    said: tuple[Objects, ...]
    notes: tuple[str, ...] = ()  # what the official rules leave out


def read_pair(truth: Path, said: Path) -> Iterator[ScoredClip]:
    """Read labels and results clip by clip: JSON (a file, or a folder of them), or folders of bitmasks.

    Raises DataError for what the official tools refuse too.
    """
    if truth.is_dir() and next(truth.rglob("*.png"), None):
        return read_bitmasks(truth, said)
    return read_scalabel(truth, said)


def read_scalabel(truth: Path, said: Path) -> Iterator[ScoredClip]:
    """Read Scalabel JSON; a frame without an entry in the results has no predictions."""
    labels, results = _videos(truth), _videos(said)
    extra = sorted(set(results) - set(labels))
    if extra:
        raise DataError(said, "videoName", f"some of {sorted(labels)}", extra)
    for name, frames in labels.items():
        found = {_moment(frame): frame for frame in results.get(name, [])}
        beyond = set(found) - {_moment(frame) for frame in frames}
        if beyond:
            raise DataError(said, f"{name}: frameIndex", "frames of the labels", sorted(map(str, beyond)))
        yield _scalabel_clip(name, frames, [found.get(_moment(f), {}) for f in frames], (truth, said))


def _scalabel_clip(
    name: str, labels: list[dict[str, Any]], results: list[dict[str, Any]], files: tuple[Path, Path]
) -> ScoredClip:
    true_ids, ids = _numbers(labels), _numbers(results)
    truth = tuple(_objects(frame, true_ids, f"{files[0]}: {frame.get('name')}") for frame in labels)
    said, notes = [], []
    for label, frame in zip(labels, results, strict=True):
        source = f"{files[1]}: {label.get('name')}"
        said.append(_objects(frame, ids, source))
        if _overlap([*said[-1].rles, *said[-1].ignore]):
            notes.append(f"{source}: masks overlap; the official tool drops the whole frame, and so do we")
            said[-1] = NOTHING
    return ScoredClip(name, truth, tuple(said), tuple(notes))


def _videos(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the frames of every video, both in order."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    frames = [frame for file in files for frame in _frames(file)]
    if not frames:
        raise DataError(path, "frames", "Scalabel frames", "none")
    frames.sort(key=lambda frame: (str(frame.get("videoName")), _time(frame)))
    return {str(k): list(group) for k, group in groupby(frames, lambda frame: frame.get("videoName"))}


def _frames(file: Path) -> list[dict[str, Any]]:
    try:
        data = json.loads(file.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(file, "file", "JSON", error) from error
    frames = data.get("frames") if isinstance(data, dict) else data
    if not isinstance(frames, list) or not all(isinstance(f, dict) for f in frames):
        raise DataError(file, "frames", "a list of frames", type(frames).__name__)
    for index, frame in enumerate(frames):
        for label in frame.get("labels") or ():
            if not isinstance(label, dict) or "id" not in label:
                raise DataError(file, f"frames[{index}].labels", "objects with an id", label)
    return frames


def _time(frame: dict[str, Any]) -> int:
    return int(frame.get("frameIndex") or 0)


def _moment(frame: dict[str, Any]) -> int | str:
    """Return what names a frame within its video: its index, or its picture where there is none."""
    return str(frame.get("name")) if frame.get("frameIndex") is None else _time(frame)


def _numbers(frames: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Give every identity of a video a number: its own where all are numbers, as the official tool."""
    names = sorted({str(label["id"]) for frame in frames for label in frame.get("labels") or ()})
    if all(name.isdigit() for name in names):
        return {name: int(name) for name in names}
    return {name: number for number, name in enumerate(names, start=1)}


def _objects(frame: dict[str, Any], ids: dict[str, int], source: str) -> Objects:
    counted: list[tuple[Rle, int, int]] = []
    ignore = []
    for label in frame.get("labels") or ():
        rle, category = label.get("rle"), label.get("category")
        if category not in CLASSES:
            raise DataError(source, f"label {label['id']}: category", f"one of {CLASSES}", repr(category))
        if rle is None and label.get("poly2d"):
            raise DataError(source, f"label {label['id']}", "run lengths (rle)", "polygons")
        if rle is None:
            continue
        rle = check(rle, file=source, key=f"label {label['id']}: rle")
        flags = label.get("attributes") or {}
        if flags.get("crowd") or flags.get("ignored"):
            ignore.append(rle)
        else:
            counted.append((rle, CLASSES.index(category), ids[str(label["id"])]))
    return _gather(counted, ignore, source)


def _gather(counted: Sequence[tuple[Rle, int, int]], ignore: Sequence[Rle], source: str) -> Objects:
    try:
        return Objects(
            tuple(rle for rle, _, _ in counted),
            np.array([label for _, label, _ in counted], np.int64),
            np.array([identity for _, _, identity in counted], np.int64),
            ignore=tuple(ignore),
        )
    except ValueError as error:
        raise DataError(source, "id", "once per class and frame", error) from error


def _overlap(rles: Sequence[Rle]) -> bool:
    """Tell whether any pixel is claimed twice."""
    if len(rles) < 2:
        return False
    together = coco_mask.area(coco_mask.merge(list(rles), intersect=False))
    return int(together) != int(np.sum(coco_mask.area(list(rles))))


def read_bitmasks(truth: Path, said: Path) -> Iterator[ScoredClip]:
    """Read folders `<video>/<frame>.png`; a frame without a file in the results has no predictions."""
    for folder in sorted({path.parent for path in truth.rglob("*.png")}):
        name = str(folder.relative_to(truth))
        names = sorted(path.name for path in folder.glob("*.png"))
        extra = sorted({p.name for p in (said / name).glob("*.png")} - set(names))
        if extra:
            raise DataError(said / name, "files", "frames of the labels", extra[:5])
        yield ScoredClip(
            name,
            tuple(_bitmask(folder / frame) for frame in names),
            tuple(_predicted_bitmask(said / name / frame) for frame in names),
        )


def _predicted_bitmask(path: Path) -> Objects:
    if not path.is_file():
        return NOTHING
    objects = _bitmask(path)
    if len(objects.ids) + len(objects.ignore) > MOST:
        raise DataError(path, "instances", f"at most {MOST}, as the official tool", len(objects.ids))
    return objects


def _bitmask(path: Path) -> Objects:
    """Read one frame; pixels of id 0 are background."""
    picture = read_picture(path)
    if picture.ndim == 3 and picture.shape[2] == 4:
        picture = picture[..., [2, 1, 0, 3]]  # from OpenCV's order
    parsed = bdd100k.parse(picture, path)
    wrong = sorted(set(parsed.categories.tolist()) - set(range(1, len(CLASSES) + 1)))
    if wrong:
        raise DataError(path, "category", f"1 to {len(CLASSES)}", wrong)
    rles = encode(parsed.index == k for k in range(1, len(parsed.ids) + 1))
    uncounted = parsed.attributes & bdd100k.UNCOUNTED > 0
    entries = zip(rles, (parsed.categories - 1).tolist(), parsed.ids.tolist(), strict=True)
    counted = [entry for entry, out in zip(entries, uncounted, strict=True) if not out]
    return _gather(counted, [rle for rle, out in zip(rles, uncounted, strict=True) if out], str(path))
