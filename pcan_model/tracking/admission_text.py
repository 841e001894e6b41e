"""Parses the options that select what is tracked: class names, minimum scores and image regions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.errors import UserError
from pcan_model.tracking.admission import Admission, Regions

NEVER = 2.0  # a score that no detection reaches
REGION = "3 corners or more such as 0,600 1280,600 1280,720, or an image"
POLYGON = re.compile(r"-?\d+,-?\d+(\s+-?\d+,-?\d+){2,}")

Region = NDArray[np.int32] | NDArray[np.uint8]


class AdmissionError(UserError, ValueError):
    """An unknown class or unreadable region; the message names the option and the expected value."""


def read_admission(
    classes: Sequence[str], *, wanted: Sequence[str] = (), region: str = "", ignore: str = ""
) -> Admission:
    """Return the filter of detections; raises AdmissionError for an unknown class or an unreadable region.

    classes         of the model
    wanted          names of the classes to track; empty for all
    region, ignore  where objects are tracked and where they are not, see `read_regions`; empty for no limit
    """
    kept = [class_index(name, classes, "classes") for name in wanted]
    return Admission(
        least_scores(kept, {}, len(classes)),
        ignored=read_regions(ignore, "ignore"),
        inside=read_regions(region, "region"),
    )


def class_index(name: str, classes: Sequence[str], where: str) -> int:
    """Return the label of a class; `where` names the option in the error."""
    if name not in classes:
        raise AdmissionError(f"{where}: expected classes of {', '.join(classes)}; got {name!r}")
    return list(classes).index(name)


def least_scores(kept: Sequence[int], scores: Mapping[int, float], count: int) -> NDArray[np.float32] | None:
    """Return the minimum score of every class, (count,); None if there is no limit.

    kept    labels of the classes to track; empty for all
    scores  minimum scores by label
    """
    if not kept and not scores:
        return None
    least = np.full(count, NEVER if kept else 0.0, np.float32)
    least[list(kept)] = 0.0
    for label, score in scores.items():
        least[label] = max(least[label], score)
    return least


def read_regions(text: str, where: str) -> Regions | None:
    """Return regions separated by `;`, each a polygon or the path of an image; None if there are none."""
    return regions_of([read_region(part, where) for part in parts(text, ";")])


def regions_of(found: Sequence[Region]) -> Regions | None:
    """Collect polygons, int32, and images, uint8; None if there are none."""
    polygons = tuple(np.asarray(each, np.int32) for each in found if each.dtype == np.int32)
    images = tuple(np.asarray(each, np.uint8) for each in found if each.dtype == np.uint8)
    return Regions(polygons, images) if found else None


def read_region(text: str, where: str, expected: str = REGION) -> Region:
    """Return a polygon, (N, 2) int32 x y in pixels, or a grey image, (H, W) uint8 above 0 inside."""
    if POLYGON.fullmatch(text):
        return np.array([[int(side) for side in corner.split(",")] for corner in text.split()], np.int32)
    path = Path(text).expanduser()
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    if image is None:
        raise AdmissionError(f"{where}: expected {expected}; got {text!r}")
    return np.asarray(image, np.uint8)


def parts(text: str, separator: str) -> list[str]:
    """Split a text into its non-empty parts, stripped of whitespace."""
    return [part.strip() for part in text.split(separator) if part.strip()]
