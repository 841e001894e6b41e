"""Validation of COCO annotations and detections, and normalisation for pycocotools."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pycocotools import mask as coco

from pcan_model.core.errors import DataError
from pcan_model.core.numbers import finite
from pcan_model.evaluation.result_files import checked_objects as checked
from pcan_model.evaluation.result_files.checked_objects import Entry, Size

Sizes = Mapping[int, Callable[[], Size]]


def checked_labels(file: Path) -> tuple[dict[str, Any], Sizes]:
    """Read an annotation file, adding optional keys: iscrowd, area, ids from 1.

    pycocotools takes the id 0 for no match. Objects without any polygon of three corners are skipped.
    Returns the annotations, and functions that return the size of each image.
    """
    data = checked.read_labels(file, ("images", "annotations", "categories"))
    names = checked.names_of(data["categories"], file)
    images = checked.by_id(data["images"], file, "images")
    entries = [
        (entry, f"{file}: annotation {entry['id']}" if "id" in entry else f"{file}: annotations[{k}]")
        for k, entry in enumerate(data["annotations"])
    ]
    checked.by_id([entry for entry, _ in entries if "id" in entry], file, "annotations")
    known = checked.known_categories(entries, names, file)
    sizes = _sizes(known, images, file)
    labels = [_label(entry, source, sizes) for entry, source in known]
    kept = [label for label in labels if label is not None]
    checked_data = {
        # pycocotools requires sizes, which it does not use for run lengths.
        "images": [{"id": number, "height": 0, "width": 0} for number in images],
        "annotations": [label | {"id": k} for k, label in enumerate(kept, start=1)],
        "categories": [{"id": number, "name": name} for number, name in names.items()],
    }
    return checked_data, sizes


def checked_detections(file: Path, ground_truth: Mapping[str, Any], sizes: Sizes) -> list[dict[str, Any]]:
    """Read a list of detections on the images and categories of `checked_labels`."""
    names = {category["id"]: category["name"] for category in ground_truth["categories"]}
    entries = [(entry, f"{file}: entry {k}") for k, entry in enumerate(checked.read_results(file))]
    boxed = bool(entries and entries[0][0].get("bbox"))  # pycocotools then uses the areas of the boxes
    found = [
        _detection(entry, source, sizes, boxed)
        for entry, source in checked.known_categories(entries, names, file)
    ]
    return [detection for detection in found if detection is not None]


def _sizes(
    entries: Sequence[tuple[Entry, str]], images: Mapping[int, Entry], file: Path
) -> dict[int, Callable[[], Size]]:
    masks: dict[int, list[Any]] = {number: [] for number in images}
    for entry, source in entries:
        masks[_image(entry, source, images)].append(entry.get("segmentation"))
    return {
        number: checked.declared_size(image, masks[number], f"{file}: image {number}")
        for number, image in images.items()
    }


def _image(entry: Entry, source: str, images: Mapping[int, Any]) -> int:
    number = checked.number_of(entry, "image_id", source)
    if number not in images:
        raise DataError(source, "image_id", f"one of the {len(images)} images of the labels", number)
    return number


def _mask(entry: Entry, source: str, sizes: Sizes) -> Any:
    if entry.get("segmentation") is None:
        got = "a box only" if "bbox" in entry else f"keys {sorted(entry)}"
        raise DataError(source, "segmentation", "run lengths or polygons", got)
    size = sizes[_image(entry, source, sizes)]
    return checked.mask_of(entry["segmentation"], size, source, "segmentation")


def _label(entry: Entry, source: str, sizes: Sizes) -> dict[str, Any] | None:
    """Return a label for pycocotools; None without any polygon of three corners."""
    run = _mask(entry, source, sizes)
    if run is None:
        return None
    area = checked.area_of(entry.get("area"), source)
    return {
        "image_id": int(entry["image_id"]),
        "category_id": int(entry["category_id"]),
        "iscrowd": int(checked.crowd_of(entry, source)),
        "area": float(coco.area(run)) if area is None else area,
        "segmentation": run,
    }


def _detection(entry: Entry, source: str, sizes: Sizes, boxed: bool) -> dict[str, Any] | None:
    run = _mask(entry, source, sizes)
    found = {
        "image_id": _image(entry, source, sizes),
        "category_id": int(entry["category_id"]),
        "score": checked.score_of(entry, source),
        "segmentation": run,
    }
    if run is None:
        return None
    if not boxed:
        return found
    box = entry.get("bbox")
    sides = [finite(side) for side in box] if isinstance(box, list) else []
    if len(sides) != 4 or None in sides:
        raise DataError(source, "bbox", "x, y, width, height as in the first entry", repr(box))
    return found | {"bbox": sides}
