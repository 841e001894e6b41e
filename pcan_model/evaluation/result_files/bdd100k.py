"""BDD100K result files: Scalabel JSON with run lengths, or folders of bitmasks."""

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
Frame = dict[str, Any]  # a Scalabel frame
MOST_INSTANCES = 100  # limit of the official tool per bitmask


@dataclass(frozen=True, slots=True, eq=False)
class ScoredClip:
    """Ground truth and predictions of a clip, frame by frame."""

    name: str
    ground_truth: tuple[Objects, ...]
    predicted: tuple[Objects, ...]
    notes: tuple[str, ...] = ()  # contents dropped by the official rules


def read_pair(ground_truth: Path, predicted: Path) -> Iterator[ScoredClip]:
    """Read labels and results clip by clip: JSON (a file, or a folder of them), or folders of bitmasks.

    Raises DataError for input that the official tools reject, too.
    """
    if ground_truth.is_dir() and next(ground_truth.rglob("*.png"), None):
        return read_bitmasks(ground_truth, predicted)
    return read_scalabel(ground_truth, predicted)


def read_scalabel(ground_truth: Path, predicted: Path) -> Iterator[ScoredClip]:
    """Read Scalabel JSON; a frame or video without an entry in the results has no predictions.

    Legacy category names are mapped, and objects of ignored categories become ignored regions, as in the
    official tool. Raises DataError for unknown frames and videos, and for invalid masks.
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
        found = {_frame_key(frame): frame for frame in results.get(name, [])}
        beyond = set(found) - {_frame_key(frame) for frame in frames}
        if beyond:
            raise DataError(
                predicted, f"{name}: frameIndex", "frames of the labels", sorted(map(str, beyond))
            )
        yield _scalabel_clip(
            name, frames, [found.get(_frame_key(f), {}) for f in frames], (ground_truth, predicted)
        )


def _check_masks(path: Path, videos: Mapping[str, Sequence[Frame]]) -> None:
    """Warn about labels with a box but no mask, which the official tool silently drops.

    Raises DataError if there are no masks at all.
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
    default_size = next((size for size in sizes if size), None)
    ground_truth = tuple(
        _objects(frame, true_ids, source, size)
        for frame, source, size in zip(labels, sources[0], sizes, strict=True)
    )
    predicted, notes = [], []
    for frame, source, size in zip(results, sources[1], sizes, strict=True):
        predicted.append(_objects(frame, ids, source, size or default_size))
        if _overlap([*predicted[-1].rles, *predicted[-1].ignore]):
            notes.append(f"{source}: masks overlap; the official tool drops the whole frame, and so do we")
            predicted[-1] = NOTHING
    return ScoredClip(name, ground_truth, tuple(predicted), tuple(notes))


def _size(frame: Frame) -> tuple[int, int] | None:
    """Return (H, W) of a frame from its first mask."""
    masks = (label.get("rle") for label in _labels(frame) if isinstance(label, dict))
    return next(filter(None, map(size_of, masks)), None)


def _videos(path: Path) -> dict[str, list[Frame]]:
    """Return the sorted videos with their sorted frames."""
    if not path.exists():
        raise DataError(path, "file", "Scalabel frames", "no such file or folder")
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    videos: dict[str, dict[int | str, Frame]] = {}
    for file in files:
        for frame in scalabel.read_frames(file):
            known = videos.setdefault(str(frame.get("videoName")), {})
            if known.setdefault(_frame_key(frame), frame) is not frame:
                raise DataError(
                    file, f"{frame['name']}: frameIndex", "once in a video", f"{_frame_key(frame)} again"
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


def _frame_key(frame: Frame) -> int | str:
    """Return the key of a frame within its video: its index, or its image name without one."""
    return str(frame.get("name")) if frame.get("frameIndex") is None else _time(frame)


def _numbers(frames: Sequence[Frame]) -> dict[str, int]:
    """Map the identities of a video to numbers in sorted order, numerically if all are numeric."""
    names = {str(scalabel.identity_of(label["id"])) for frame in frames for label in _labels(frame)}
    if all(scalabel.PLAIN.fullmatch(name) for name in names):
        return {name: number for number, name in enumerate(sorted(names, key=lambda n: (int(n), n)), start=1)}
    return {name: number for number, name in enumerate(sorted(names), start=1)}


def _objects(frame: Frame, ids: dict[str, int], source: str, size: tuple[int, int] | None) -> Objects:
    """Collect a frame's masks, which must have the size of the labels."""
    counted: list[tuple[Rle, int, int]] = []
    ignore = []
    for label in _labels(frame):
        identity, rle, category = (
            str(scalabel.identity_of(label["id"])),
            label.get("rle"),
            label.get("category"),
        )
        key = f"{source}: label {identity}"
        name, ignored = _class(category, key)
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
            counted.append((rle, CLASSES.index(name), ids[identity]))
    return _gather(counted, ignore, source)


def _class(category: Any, source: str) -> tuple[str, bool]:
    """Return the class of a category, and whether the official tool ignores objects of the category."""
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
    """Return whether any masks overlap."""
    if len(rles) < 2:
        return False
    together = coco_mask.area(coco_mask.merge(list(rles), intersect=False))
    return int(together) != int(np.sum(coco_mask.area(list(rles))))


def read_bitmasks(ground_truth: Path, predicted: Path) -> Iterator[ScoredClip]:
    """Read folders `<video>/<frame>.png`; missing result files count as missed objects."""
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
        yield ScoredClip(name, tuple(labels for labels, _ in pairs), tuple(results for _, results in pairs))


def _pair(ground_truth: Path, predicted: Path) -> tuple[Objects, Objects]:
    """Read a frame's labels and predictions, which must have the same size."""
    targets, size = _bitmask(ground_truth)
    if not predicted.is_file():
        return targets, NOTHING
    predictions, own = _bitmask(predicted)
    if own != size:
        raise DataError(predicted, "image", f"the labels' size {size}", own)
    if len(predictions.ids) + len(predictions.ignore) > MOST_INSTANCES:
        raise DataError(
            predicted, "instances", f"at most {MOST_INSTANCES}, as the official tool", len(predictions.ids)
        )
    return targets, predictions


def _bitmask(path: Path) -> tuple[Objects, tuple[int, ...]]:
    """Read a frame and its (H, W); pixels of id 0 are background."""
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
