"""BDD100K's own numbers from result files: Scalabel JSON with run lengths, or folders of bitmasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.core.rle import check, size_of
from pcan_model.data.files import read_unchanged
from pcan_model.data.formats import bdd100k, scalabel
from pcan_model.data.formats.reading import raise_error, warn
from pcan_model.evaluation.metrics.comparison import Objects, Rle, encode

NOTHING = Objects((), np.zeros(0, np.int64), np.zeros(0, np.int64))
Frame = dict[str, Any]  # of Scalabel
MOST = 100  # instances of a frame that the official tool takes in bitmasks


@dataclass(frozen=True, slots=True, eq=False)
class ScoredClip:
    """A clip's labels and what was said of it, frame by frame."""

    name: str
    ground_truth: tuple[Objects, ...]
    predicted: tuple[Objects, ...]
    notes: tuple[str, ...] = ()  # what the official rules leave out


def read_pair(ground_truth: Path, predicted: Path) -> Iterator[ScoredClip]:
    """Read labels and results clip by clip: JSON (a file, or a folder of them), or folders of bitmasks.

    Raises DataError for what the official tools raise_error too.
    """
    if ground_truth.is_dir() and next(ground_truth.rglob("*.png"), None):
        return read_bitmasks(ground_truth, predicted)
    return read_scalabel(ground_truth, predicted)


def read_scalabel(ground_truth: Path, predicted: Path) -> Iterator[ScoredClip]:
    """Read Scalabel JSON; a frame or video without an entry in the results has no predictions.

    Legacy names of categories are understood, and ignored ones become ignored regions, as by the official
    tool. Raises DataError for frames and videos that the labels do not have, and for what is no mask.
    """
    labels, results = _videos(ground_truth), _videos(predicted)
    for path, videos in ((ground_truth, labels), (predicted, results)):
        _check_masks(path, videos)
    extra = sorted(set(results) - set(labels))
    if extra:
        raise DataError(predicted, "videoName", f"some of {sorted(labels)}", extra)
    for name, frames in labels.items():
        if name not in results:
            warn(DataError(predicted, name, "the video's frames", "none: all its objects count as missed"))
        found = {_moment(frame): frame for frame in results.get(name, [])}
        beyond = set(found) - {_moment(frame) for frame in frames}
        if beyond:
            raise DataError(
                predicted, f"{name}: frameIndex", "frames of the labels", sorted(map(str, beyond))
            )
        yield _scalabel_clip(
            name, frames, [found.get(_moment(f), {}) for f in frames], (ground_truth, predicted)
        )


def _check_masks(path: Path, videos: Mapping[str, Sequence[Frame]]) -> None:
    """Say how many labels have a box but no mask, which the official tool leaves out in silence.

    Raises DataError where none has a mask: then everything would be left out.
    """
    labels = [
        (label, f"{path}: {frame['name']}: label {label.get('id')}")
        for frames in videos.values()
        for frame in frames
        for label in _labels(frame)
        if isinstance(label, dict)
    ]
    bare = [source for label, source in labels if label.get("rle") is None and not label.get("poly2d")]
    if bare:
        got = f"none in {len(bare)} of {len(labels)} labels, which do not count"
        error = DataError(bare[0], "rle", "a mask (run lengths)", got)
        (raise_error if len(bare) == len(labels) else warn)(error)


def _scalabel_clip(
    name: str, labels: list[Frame], results: list[Frame], files: tuple[Path, Path]
) -> ScoredClip:
    true_ids, ids = _numbers(labels), _numbers(results)
    sources = [[f"{file}: {label.get('name')}" for label in labels] for file in files]
    sizes = [_size(frame) for frame in labels]
    usual = next((size for size in sizes if size), None)
    ground_truth = tuple(
        _objects(frame, true_ids, source, size)
        for frame, source, size in zip(labels, sources[0], sizes, strict=True)
    )
    predicted, notes = [], []
    for frame, source, size in zip(results, sources[1], sizes, strict=True):
        predicted.append(_objects(frame, ids, source, size or usual))
        if _overlap([*predicted[-1].rles, *predicted[-1].ignore]):
            notes.append(f"{source}: masks overlap; the official tool drops the whole frame, and so do we")
            predicted[-1] = NOTHING
    return ScoredClip(name, ground_truth, tuple(predicted), tuple(notes))


def _size(frame: Frame) -> tuple[int, int] | None:
    """Return H, W of a frame, as its first mask says."""
    masks = (label.get("rle") for label in _labels(frame) if isinstance(label, dict))
    return next(filter(None, map(size_of, masks)), None)


def _videos(path: Path) -> dict[str, list[Frame]]:
    """Return the frames of every video, both in order."""
    if not path.exists():
        raise DataError(path, "file", "Scalabel frames", "no such file or folder")
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    videos: dict[str, dict[int | str, Frame]] = {}
    for file in files:
        for frame in scalabel.read_frames(file):
            known = videos.setdefault(str(frame.get("videoName")), {})
            if known.setdefault(_moment(frame), frame) is not frame:
                raise DataError(
                    file, f"{frame['name']}: frameIndex", "once in a video", f"{_moment(frame)} again"
                )
            _check_labels(frame, f"{file}: {frame['name']}")
    if not videos:
        raise DataError(path, "frames", "Scalabel frames", "none")
    return {name: sorted(videos[name].values(), key=_time) for name in sorted(videos)}


def _check_labels(frame: Frame, source: str) -> None:
    if not isinstance(frame.get("labels") or [], list):
        raise DataError(source, "labels", "a list", type(frame["labels"]).__name__)
    for label in _labels(frame):
        if not isinstance(label, dict) or scalabel.identity_of(label.get("id")) is None:
            raise DataError(source, "labels", "objects with an id", label)


def _labels(frame: Frame) -> Sequence[Any]:
    return frame.get("labels") or ()


def _time(frame: Frame) -> int:
    return int(frame.get("frameIndex") or 0)


def _moment(frame: Frame) -> int | str:
    """Return what names a frame within its video: its index, or its image where there is none."""
    return str(frame.get("name")) if frame.get("frameIndex") is None else _time(frame)


def _numbers(frames: Sequence[Frame]) -> dict[str, int]:
    """Give every identity of a video a number, in their order: as numbers where all are, else as text."""
    names = {str(scalabel.identity_of(label["id"])) for frame in frames for label in _labels(frame)}
    if all(scalabel.PLAIN.fullmatch(name) for name in names):
        return {name: number for number, name in enumerate(sorted(names, key=lambda n: (int(n), n)), start=1)}
    return {name: number for number, name in enumerate(sorted(names), start=1)}


def _objects(frame: Frame, ids: dict[str, int], source: str, size: tuple[int, int] | None) -> Objects:
    """Gather a frame's masks, which must be of one size, the labels'."""
    counted: list[tuple[Rle, int, int]] = []
    ignore = []
    for label in _labels(frame):
        identity, rle, category = (
            str(scalabel.identity_of(label["id"])),
            label.get("rle"),
            label.get("category"),
        )
        key = f"{source}: label {identity}"
        meant, ignored = _class(category, key)
        if rle is None and label.get("poly2d"):
            raise DataError(key, "rle", "run lengths", "polygons")
        if rle is None:
            continue
        rle = check(rle, file=key, key="rle", size=size, whose="the labels")
        size = size or size_of(rle)
        if not isinstance(label.get("attributes") or {}, dict):
            raise DataError(key, "attributes", "a dict", repr(label["attributes"]))
        if ignored or scalabel.is_ignored(label, key):
            ignore.append(rle)
        else:
            counted.append((rle, CLASSES.index(meant), ids[identity]))
    return _gather(counted, ignore, source)


def _class(category: Any, source: str) -> tuple[str, bool]:
    """Return the class that a category's name means, and whether the official tool ignores what has it."""
    names = scalabel.NAMES | scalabel.IGNORED_NAMES
    if not isinstance(category, str) or category not in names:
        raise DataError(source, "category", f"one of {', '.join(names)}", repr(category))
    return names[category], category in scalabel.IGNORED_NAMES


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


def read_bitmasks(ground_truth: Path, predicted: Path) -> Iterator[ScoredClip]:
    """Read folders `<video>/<frame>.png`; frames and videos without files in the results are missed."""
    folders = sorted({path.parent for path in ground_truth.rglob("*.png")})
    if not predicted.is_dir():
        raise DataError(predicted, "folder", "bitmasks, <video>/<frame>.png", "no such folder")
    extra = sorted(
        {path.parent.relative_to(predicted) for path in predicted.rglob("*.png")}
        - {folder.relative_to(ground_truth) for folder in folders}
    )
    if extra:
        raise DataError(predicted, "folders", "videos of the labels", [str(path) for path in extra[:5]])
    for folder in folders:
        name = str(folder.relative_to(ground_truth))
        names = sorted(path.name for path in folder.glob("*.png"))
        frames = {path.name for path in (predicted / name).glob("*.png")}
        if beyond := sorted(frames - set(names)):
            raise DataError(predicted / name, "files", "frames of the labels", beyond[:5])
        if not frames:
            warn(
                DataError(
                    predicted / name, "folder", "the video's frames", "none: all its objects count as missed"
                )
            )
        pairs = [_pair(folder / frame, predicted / name / frame) for frame in names]
        yield ScoredClip(name, tuple(true for true, _ in pairs), tuple(mine for _, mine in pairs))


def _pair(ground_truth: Path, predicted: Path) -> tuple[Objects, Objects]:
    """Read a frame's labels and predictions, of one size."""
    true, size = _bitmask(ground_truth)
    if not predicted.is_file():
        return true, NOTHING
    mine, own = _bitmask(predicted)
    if own != size:
        raise DataError(predicted, "image", f"the labels' size {size}", own)
    if len(mine.ids) + len(mine.ignore) > MOST:
        raise DataError(predicted, "instances", f"at most {MOST}, as the official tool", len(mine.ids))
    return true, mine


def _bitmask(path: Path) -> tuple[Objects, tuple[int, ...]]:
    """Read one frame and its H, W; pixels of id 0 are background."""
    image = read_unchanged(path)
    if image.ndim == 3 and image.shape[2] == 4:
        image = image[..., [2, 1, 0, 3]]  # from OpenCV's order
    parsed = bdd100k.parse(image, path)
    wrong = sorted(set(parsed.categories.tolist()) - set(range(1, len(CLASSES) + 1)))
    if wrong:
        raise DataError(path, "category", f"1 to {len(CLASSES)}", wrong)
    rles = encode(parsed.index == k for k in range(1, len(parsed.ids) + 1))
    uncounted = parsed.attributes & bdd100k.UNCOUNTED > 0
    entries = zip(rles, (parsed.categories - 1).tolist(), parsed.ids.tolist(), strict=True)
    counted = [entry for entry, out in zip(entries, uncounted, strict=True) if not out]
    ignore = [rle for rle, out in zip(rles, uncounted, strict=True) if out]
    return _gather(counted, ignore, str(path)), parsed.index.shape
