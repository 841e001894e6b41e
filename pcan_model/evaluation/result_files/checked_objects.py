"""Validation of annotations and detections in JSON (YouTube-VIS, COCO)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pcan_model.core.errors import DataError
from pcan_model.core.numbers import finite, whole
from pcan_model.core.rle import Rle, check, size_from, size_of
from pcan_model.data.formats.reading import raise_error, read_json, warn
from pcan_model.data.formats.youtube_vis import outline_of

Entry = dict[str, Any]
Size = tuple[int, int]  # H, W in pixels


def read_labels(file: Path, lists: Sequence[str]) -> Entry:
    """Read an annotation file, in which `lists` are keys with lists of objects."""
    data = read_json(file, "an annotation file")
    for key in lists:
        found = data.get(key) if isinstance(data, dict) else None
        if not isinstance(found, list):
            raise DataError(file, key, "a list", type(found).__name__)
        objects(found, file, key)
    return dict(data)


def read_results(file: Path) -> list[Entry]:
    """Read a result file, a list of objects."""
    data = read_json(file, "a list of results")
    if not isinstance(data, list):
        raise DataError(file, "file", "a list in JSON", type(data).__name__)
    return objects(data, file, "entry")


def objects(entries: Sequence[Any], file: Path, key: str) -> list[Entry]:
    """Raise DataError unless every entry is an object."""
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise DataError(file, f"{key} {number}", "an object", repr(entry))
    return list(entries)


def number_of(entry: Entry, key: str, source: str) -> int:
    """Return a whole number of an entry."""
    number = whole(entry.get(key))
    if number is None:
        raise DataError(source, key, "a whole number", repr(entry[key]) if key in entry else "none")
    return number


def by_id(entries: Sequence[Entry], file: Path, key: str) -> dict[int, Entry]:
    """Return entries by their ids, which must be unique."""
    found: dict[int, Entry] = {}
    for index, entry in enumerate(entries):
        number = number_of(entry, "id", f"{file}: {key} {index}")
        if number in found:
            raise DataError(f"{file}: {key} {index}", "id", "a unique one for each", f"{number} again")
        found[number] = entry
    return found


def names_of(categories: Sequence[Entry], file: Path) -> dict[int, str]:
    """Return the names of categories by their ids."""
    found = by_id(categories, file, "categories")
    for number, entry in found.items():
        if not isinstance(entry.get("name"), str):
            raise DataError(f"{file}: category {number}", "name", "text", repr(entry.get("name")))
    return {number: str(entry["name"]) for number, entry in found.items()}


def known_categories(
    entries: Sequence[tuple[Entry, str]], names: Mapping[int, str], file: Path
) -> list[tuple[Entry, str]]:
    """Return the entries of known categories; others are dropped with a warning, as in the official tools.

    Raises DataError if all are unknown.
    """
    numbers = [number_of(entry, "category_id", source) for entry, source in entries]
    unknown = Counter(number for number in numbers if number not in names)
    if unknown:
        got = f"{dict(sorted(unknown.items())[:5])} (id: how many), which do not count"
        error = DataError(file, "category_id", f"one of {sorted(names)[:20]}", got)
        (raise_error if sum(unknown.values()) == len(entries) else warn)(error)
    return [pair for pair, number in zip(entries, numbers, strict=True) if number in names]


def score_of(entry: Entry, source: str) -> float:
    """Return the score of a result; raises DataError unless it is a finite number."""
    score = finite(entry.get("score"))
    if score is None:
        raise DataError(
            source, "score", "a finite number", repr(entry["score"]) if "score" in entry else "none"
        )
    return score


def crowd_of(entry: Entry, source: str) -> bool:
    """Return whether a label is a crowd; by default it is not."""
    crowd = entry.get("iscrowd")
    if crowd is not None and crowd not in (0, 1):
        raise DataError(source, "iscrowd", "0 or 1", repr(crowd))
    return bool(crowd)


def area_of(value: object, source: str, key: str = "area") -> float | None:
    """Return the area of a label; None if missing."""
    area = finite(value)
    if value is not None and (area is None or area < 0):
        raise DataError(source, key, "a number of pixels", repr(value))
    return area


def mask_of(mask: Any, size: Callable[[], Size], source: str, key: str) -> Rle | None:
    """Return a mask's run lengths, also from polygons or uncompressed ones; None without a mask.

    size  returns the required (H, W); called only for masks
    """
    if mask is None:
        return None
    outline = outline_of(mask, size(), source, key, warn) if isinstance(mask, list) else mask
    if outline is None:
        return None
    return check(outline, file=source, key=key, size=size(), whose="the labels' image")


def declared_size(item: Entry, masks: Sequence[Any], source: str) -> Callable[[], Size]:
    """Return a function that returns (H, W) of an image or video, by its keys or the labels' run lengths.

    The function raises DataError if the size is missing or invalid.
    """
    sides = item.get("height"), item.get("width")
    known = size_from(*sides) if None not in sides else next(filter(None, map(size_of, masks)), None)

    def size() -> Size:
        if known is None:
            got = "none" if None in sides else f"{sides[0]!r}, {sides[1]!r}"
            raise DataError(source, "height, width", "the size of its images", got)
        return known

    return size
