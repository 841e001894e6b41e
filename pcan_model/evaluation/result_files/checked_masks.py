"""Validation of KITTI-MOTS lines, and writing in the form that the official tool reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from pycocotools import mask as coco

from pcan_model.core import rle
from pcan_model.core.errors import DataError
from pcan_model.data.formats.kitti_mots import CATEGORIES, IGNORED_CATEGORY, IGNORED_VALUE, Line
from pcan_model.evaluation.result_files.checked_files import check_frame, check_once, renumbered

Frames = Mapping[int, Sequence[Line]]
Size = tuple[int, int]


def check_masks(ground_truth: Frames, predicted: Frames, length: int | None) -> None:
    """Raise DataError for the first line that the official tool cannot evaluate correctly.

    length  frames of the sequence; None if unknown
    """
    sizes = sizes_of(ground_truth)
    default_size = next(iter(sizes.values()), None)
    for frames, labels in ((ground_truth, True), (predicted, False)):
        for time in sorted(frames):
            check_frame(time, length, frames[time][0].source)
            _check_frame(frames[time], sizes.get(time, default_size), labels)


def sizes_of(ground_truth: Frames) -> dict[int, Size]:
    """Return (H, W) of the labels by frame."""
    return {time: lines[0].size for time, lines in sorted(ground_truth.items())}


def _check_frame(lines: Sequence[Line], size: Size | None, labels: bool) -> None:
    masks = [(_checked(line, size or lines[0].size), line.source) for line in lines]
    counted = [line for line in lines if not (labels and line.category == IGNORED_CATEGORY)]
    check_once(((line.value, line.source) for line in counted), "id")
    check_overlap(masks)


def _checked(line: Line, size: Size) -> rle.Rle:
    known = {*CATEGORIES.values(), IGNORED_CATEGORY}
    if line.category not in known:
        raise DataError(line.source, "class", f"one of {sorted(known)}", line.category)
    run = {"size": list(line.size), "counts": line.counts}
    return rle.check(run, file=line.source, key="rle", size=size, whose="the labels")


def check_overlap(masks: Sequence[tuple[rle.Rle, str]]) -> None:
    """Raise DataError for overlapping masks in a frame; each comes with its file and line."""
    rles = [run for run, _ in masks]
    if len(rles) < 2 or int(coco.area(coco.merge(rles))) == int(np.sum(coco.area(rles))):
        return
    for k, (run, source) in enumerate(masks):
        shared = [int(coco.area(coco.merge([run, other], intersect=True))) for other in rles[:k]]
        if any(shared):
            first = int(np.flatnonzero(shared)[0])
            line = masks[first][1].rpartition(": ")[2]
            raise DataError(source, "rle", "no overlapping masks", f"{shared[first]} pixels of {line}")


def write_masks(frames: Frames, file: Path, *, labels: bool) -> None:
    """Write the lines for the official tool: sorted, with small ids."""
    lines = [line for time in sorted(frames) for line in frames[time]]
    numbers = renumbered(line.value for line in lines)
    file.write_text("".join(f"{text}\n" for text in _texts(lines, numbers, labels)))


def _texts(lines: Iterable[Line], numbers: Mapping[int, int], labels: bool) -> Iterable[str]:
    for line in lines:
        ignored = labels and line.category == IGNORED_CATEGORY
        identity = IGNORED_VALUE if ignored else numbers[line.value]
        yield f"{line.time} {identity} {line.category} {line.size[0]} {line.size[1]} {line.counts}"
