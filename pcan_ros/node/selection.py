"""Selection of the detections that are tracked, from the text of parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.tracking.admission import Admission, Regions
from pcan_ros.node.parameters import ParameterError, Settings

NEVER = 2.0  # above every score: excludes a class
REGION = "3 corners or more such as 0,600 1280,600 1280,720, or an image; prefix 1: for camera 1 only"
ENTRY = re.compile(r"(?:(\d+):)?\s*(.+)", re.DOTALL)
POLYGON = re.compile(r"-?\d+,-?\d+(\s+-?\d+,-?\d+){2,}")


def admissions(settings: Settings, classes: Sequence[str]) -> tuple[Admission, ...]:
    """Return the admission rules of every camera; raises ParameterError for invalid text.

    classes  class names of the model
    """
    scores = _scores(settings, classes)
    cameras = range(len(settings.cameras))
    regions = _regions(settings.ignore, len(cameras))
    return tuple(Admission(scores, settings.min_size, regions[camera]) for camera in cameras)


def _scores(settings: Settings, classes: Sequence[str]) -> NDArray[np.float32] | None:
    """Return the lowest score of every class, (classes,) float32; None without restrictions."""
    selected = [_class("classes", name, classes) for name in _parts(settings.classes, ",")]
    given = dict(_score(text, classes) for text in _parts(settings.class_scores, ","))
    if not selected and not given:
        return None
    lowest = np.full(len(classes), NEVER if selected else 0.0, np.float32)
    lowest[selected] = 0.0
    for label, score in given.items():
        lowest[label] = max(lowest[label], score)
    return lowest


def _score(text: str, classes: Sequence[str]) -> tuple[int, float]:
    name, _, number = (part.strip() for part in text.partition("="))
    try:
        score = float(number)
    except ValueError:
        score = -1.0
    if not 0 <= score <= 1:
        raise ParameterError(f"class_scores: expected CLASS=SCORE from 0 to 1 such as car=0.5, got {text!r}")
    return _class("class_scores", name, classes), score


def _class(parameter: str, name: str, classes: Sequence[str]) -> int:
    if name not in classes:
        raise ParameterError(f"{parameter}: expected one of {', '.join(classes)}; got {name!r}")
    return list(classes).index(name)


def _regions(text: str, cameras: int) -> tuple[Regions | None, ...]:
    polygons: list[list[NDArray[np.int32]]] = [[] for _ in range(cameras)]
    images: list[list[NDArray[np.uint8]]] = [[] for _ in range(cameras)]
    for entry in _parts(text, ";"):
        number, region = _entry(entry, cameras)
        for camera in range(cameras) if number is None else (number,):
            if POLYGON.fullmatch(region):
                corners = [[int(side) for side in corner.split(",")] for corner in region.split()]
                polygons[camera].append(np.array(corners, np.int32))
            else:
                images[camera].append(_image(region))
    pairs = zip(polygons, images, strict=True)
    return tuple(Regions(tuple(p), tuple(i)) if p or i else None for p, i in pairs)


def _entry(text: str, cameras: int) -> tuple[int | None, str]:
    """Return the camera of a region, None for all cameras, and the region."""
    found = ENTRY.fullmatch(text)
    number = int(found[1]) if found and found[1] else None
    if found is None or (number is not None and number >= cameras):
        raise ParameterError(f"ignore: expected a camera from 0 to {cameras - 1}, got {text!r}")
    return number, found[2].strip()


def _image(text: str) -> NDArray[np.uint8]:
    path = Path(text).expanduser()
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    if image is None:
        raise ParameterError(f"ignore: expected {REGION}; got {text!r}")
    return np.asarray(image, np.uint8)


def _parts(text: str, separator: str) -> list[str]:
    return [part.strip() for part in text.split(separator) if part.strip()]
