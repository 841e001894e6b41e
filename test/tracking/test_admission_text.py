"""What is tracked is read from text: classes, polygons and images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pcan_model.core.geometry import Letterbox
from pcan_model.core.structures import Detections
from pcan_model.tracking.admission_text import AdmissionError, read_admission, read_regions

CLASSES = ("person", "car")
SAME = Letterbox((100, 100), (100, 100))
BOXES = np.array([[10, 10, 30, 30], [60, 60, 90, 90]], np.float32)


def kept(region: str = "", ignore: str = "", wanted: tuple[str, ...] = ()) -> list[str]:
    """Return which of a person above left and a car below right is tracked."""
    found = Detections(
        BOXES, np.full(2, 0.6, np.float32), np.arange(2), np.zeros((2, 1), np.float32), np.arange(2)
    )
    admission = read_admission(CLASSES, wanted=wanted, region=region, ignore=ignore)
    return [CLASSES[label] for label in admission.admit(found, SAME).labels]


LEFT, RIGHT = "0,0 50,0 50,99 0,99", "50,0 99,0 99,99 50,99"


def test_nothing_said_admits_everything() -> None:
    assert kept() == ["person", "car"] and read_regions(" ; ", "region") is None


def test_only_the_wanted_class_is_tracked() -> None:
    assert kept(wanted=("car",)) == ["car"]


def test_a_region_is_where_objects_are_tracked_and_ignore_where_not() -> None:
    assert kept(region=LEFT) == ["person"] and kept(ignore=LEFT) == ["car"]
    assert kept(region=f"{LEFT}; {RIGHT}") == ["person", "car"]
    assert kept(region=LEFT, ignore=LEFT) == []


def test_an_image_is_a_region(tmp_path: Path) -> None:
    right = np.zeros((10, 10), np.uint8)
    right[:, 5:] = 255
    cv2.imwrite(str(tmp_path / "right.png"), right)
    assert kept(region=str(tmp_path / "right.png")) == ["car"]


def test_what_cannot_be_read_is_named() -> None:
    with pytest.raises(AdmissionError, match=r"region: expected 3 corners or more .*; got 'none\.png'"):
        kept(region="none.png")
    with pytest.raises(AdmissionError, match="classes: expected classes of person, car; got 'lorry'"):
        kept(wanted=("lorry",))
