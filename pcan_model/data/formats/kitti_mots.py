"""KITTI-MOTS: a 16-bit image per frame (class * 1000 + id, 10000 = ignore), or run lengths per clip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcan_model.core import rle
from pcan_model.core.errors import DataError
from pcan_model.core.numbers import whole_text
from pcan_model.data.formats.identities import IdAllocator, only
from pcan_model.data.formats.labels import IGNORE, FrameLabels, keep, labelled, unique_values
from pcan_model.data.formats.reading import OnError, raise_error, read_all, read_rows

CATEGORIES = {"car": 1, "pedestrian": 2}
PER_CLASS = 1000  # ids 0 .. 999 of each class
IGNORED_VALUE, IGNORED_CATEGORY = 10_000, 10
VAL = ("0002", "0006", "0007", "0008", "0010", "0013", "0014", "0016", "0018")  # of the MOTS paper
TRAIN = tuple(f"{k:04d}" for k in range(21) if f"{k:04d}" not in VAL)


class Identities:
    """Maps a clip's identities to ids: class * 1000 + number, with separate numbers per class.

    An identity that already is such an id keeps it; any other keeps its number if it is free.
    """

    def __init__(self) -> None:
        self._numbers = {category: IdAllocator(0, PER_CLASS - 1) for category in CATEGORIES.values()}

    def value(self, category: int, identity: int) -> int:
        """Return class * 1000 + number; raises OverflowError for the 1001st object of a class."""
        own = category * PER_CLASS <= identity < (category + 1) * PER_CLASS
        number = self._numbers[category].of(identity, identity % PER_CLASS if own else identity)
        return category * PER_CLASS + number


def to_values(
    frame: FrameLabels, names: Sequence[str], identities: Identities, *, other: int = IGNORE
) -> NDArray[np.uint16]:
    """Encode a frame as an image, (H, W).

    names  class names, in the order of labels
    other  value for objects of other classes: IGNORE (labels) or BACKGROUND (predictions)
    """
    frame = _fitting(frame, names, other)
    values = [identities.value(CATEGORIES[names[n]], int(i)) for n, i in _named(frame)]
    return np.array([IGNORED_VALUE, 0, *values], np.uint16)[frame.index + 1]


def from_values(
    values: NDArray[np.uint16], names: Sequence[str], file: Path | str, on_error: OnError = raise_error
) -> FrameLabels:
    """Decode the image of a frame, (H, W); an identity is the complete value, unique in the clip.

    Objects of classes not in `names` become ignore, as do invalid values, with whose errors `on_error` is
    called.
    """
    if values.dtype != np.uint16 or values.ndim != 2:
        raise DataError(file, "image", "(H, W) of 16 bit", f"{values.shape} {values.dtype}")
    found, positions = unique_values(values)
    table = np.zeros(len(found), np.int16)
    objects: list[tuple[int, int]] = []
    for k, value in enumerate(found.tolist()):
        try:
            table[k] = _add_object(value, names, objects, file) if value else 0
        except DataError as error:
            table[k] = IGNORE
            on_error(error)
    return _frame(table[positions], objects)


def to_lines(
    frame: FrameLabels, time: int, names: Sequence[str], identities: Identities, *, other: int = IGNORE
) -> list[str]:
    """Encode a frame as lines: time, class * 1000 + id, class, height, width, run lengths."""
    frame = _fitting(frame, names, other)
    runs = rle.encode_objects(frame.index, len(frame))
    categories = [CATEGORIES[names[label]] for label in frame.labels]
    entries = [
        (identities.value(category, int(identity)), category, run)
        for category, identity, run in zip(categories, frame.ids, runs, strict=True)
    ]
    if (frame.index == IGNORE).any():
        entries.append((IGNORED_VALUE, IGNORED_CATEGORY, rle.encode(frame.index == IGNORE)))
    return [f"{time} {v} {c} {r['size'][0]} {r['size'][1]} {r['counts']}" for v, c, r in entries]


@dataclass(frozen=True, slots=True)
class Line:
    """One object of one frame in `instances_txt`, with an encoded mask."""

    time: int  # frame number
    value: int  # class * 1000 + id in labels; any number from 0 up in results
    category: int  # of CATEGORIES, or IGNORED_CATEGORY
    size: tuple[int, int]  # H, W in pixels
    counts: str
    source: str  # file and line number, for error messages


def read_lines(
    file: Path, on_error: OnError = raise_error, *, results: bool = False
) -> dict[int, list[Line]]:
    """Read a clip's lines by time; frames without objects are missing.

    on_error  called with the error of each skipped line
    results   accept ids that do not encode the class
    """
    frames: dict[int, list[Line]] = {}
    rows = read_rows(file, "KITTI-MOTS lines")
    for line in read_all(lambda row: _line(row[1], f"{file}: line {row[0]}", results), rows, on_error):
        frames.setdefault(line.time, []).append(line)
    return frames


def _line(text: str, source: str, results: bool) -> Line:
    parts = text.split()
    if len(parts) != 6:
        expected = "time, id, class, height, width, run lengths"
        raise DataError(source, "fields", expected, repr(text[:60]))
    numbers = [whole_text(part) for part in parts[:5]]
    for key, number, part in zip(("time", "id", "class", "height", "width"), numbers, parts, strict=False):
        if number is None:
            raise DataError(source, key, "a whole number from 0 up", repr(part))
    time, value, category, height, width = (number or 0 for number in numbers)
    if not results and value // PER_CLASS != category:
        raise DataError(source, "class", f"that of the id {value}, {value // PER_CLASS}", category)
    return Line(time, value, category, (height, width), parts[5], source)


def from_lines(
    lines: Iterable[Line], size: tuple[int, int], names: Sequence[str], on_error: OnError = raise_error
) -> FrameLabels:
    """Decode the objects of one frame.

    size      (H, W) of the image
    on_error  called with the error of each skipped line
    """
    index = np.zeros(size, np.int16)
    objects: list[tuple[int, int]] = []
    for line in lines:
        try:
            known = len(objects)
            number = _add_object(line.value, names, objects, line.source)
            if number > 0 and line.value in [value for _, value in objects[:known]]:
                raise DataError(line.source, "id", "once in a frame", f"{line.value} again")
            run = {"size": list(line.size), "counts": line.counts}
            rle.paint(index, run, number, file=line.source, key="rle")
        except DataError as error:
            del objects[known:]
            on_error(error)
    return _frame(index, objects)


def _fitting(frame: FrameLabels, names: Sequence[str], other: int) -> FrameLabels:
    frame = only(frame, names, CATEGORIES, other)
    return keep(frame, np.flatnonzero(~frame.ignored), IGNORE)


def _named(frame: FrameLabels) -> Iterable[tuple[int, int]]:
    return zip(frame.labels.tolist(), frame.ids.tolist(), strict=True)


def _add_object(value: int, names: Sequence[str], objects: list[tuple[int, int]], file: Path | str) -> int:
    """Add an object's class and id; returns its number in the index image, or IGNORE."""
    if value == IGNORED_VALUE:
        return IGNORE
    category = value // PER_CLASS
    name = next((name for name, number in CATEGORIES.items() if number == category), None)
    if name is None:
        raise DataError(
            file, "class", f"one of {CATEGORIES}, or {IGNORED_VALUE} for ignore", f"value {value}"
        )
    if name not in names:
        return IGNORE
    objects.append((names.index(name), value))
    return len(objects)


def _frame(index: NDArray[np.int16], objects: list[tuple[int, int]]) -> FrameLabels:
    return labelled(index, [label for label, _ in objects], [identity for _, identity in objects])
