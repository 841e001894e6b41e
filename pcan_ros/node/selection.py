"""Selection of the detections that are tracked, from the text of parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pcan_model.tracking.admission import Admission, Regions
from pcan_model.tracking.admission_text import (
    REGION,
    AdmissionError,
    Region,
    class_index,
    least_scores,
    parts,
    read_region,
    regions_of,
)
from pcan_ros.node.parameters import ParameterError, Settings

EXPECTED = f"{REGION}; 1: before it for camera 1 only"
ENTRY = re.compile(r"(?:(\d+):)?\s*(.+)", re.DOTALL)


def admissions(settings: Settings, classes: Sequence[str]) -> tuple[Admission, ...]:
    """Return the admission rules of every camera; raises ParameterError for invalid text.

    classes  class names of the model
    """
    cameras = range(len(settings.cameras))
    try:
        scores, regions = _scores(settings, classes), _regions(settings.ignore, len(cameras))
    except AdmissionError as error:
        raise ParameterError(str(error)) from error
    return tuple(Admission(scores, settings.min_size, regions[camera]) for camera in cameras)


def _scores(settings: Settings, classes: Sequence[str]) -> NDArray[np.float32] | None:
    """Return the lowest score of every class, (classes,) float32; None without restrictions."""
    kept = [class_index(name, classes, "classes") for name in parts(settings.classes, ",")]
    given = dict(_score(text, classes) for text in parts(settings.class_scores, ","))
    return least_scores(kept, given, len(classes))


def _score(text: str, classes: Sequence[str]) -> tuple[int, float]:
    name, _, number = (part.strip() for part in text.partition("="))
    try:
        score = float(number)
    except ValueError:
        score = -1.0
    if not 0 <= score <= 1:
        raise ParameterError(f"class_scores: expected CLASS=SCORE from 0 to 1 such as car=0.5, got {text!r}")
    return class_index(name, classes, "class_scores"), score


def _regions(text: str, cameras: int) -> tuple[Regions | None, ...]:
    found: list[list[Region]] = [[] for _ in range(cameras)]
    for entry in parts(text, ";"):
        number, region = _entry(entry, cameras)
        for camera in range(cameras) if number is None else (number,):
            found[camera].append(read_region(region, "ignore", EXPECTED))
    return tuple(regions_of(each) for each in found)


def _entry(text: str, cameras: int) -> tuple[int | None, str]:
    """Return the camera of a region, None for all cameras, and the region."""
    found = ENTRY.fullmatch(text)
    number = int(found[1]) if found and found[1] else None
    if found is None or (number is not None and number >= cameras):
        raise ParameterError(f"ignore: expected a camera from 0 to {cameras - 1}, got {text!r}")
    return number, found[2].strip()
