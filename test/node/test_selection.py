"""The parameters classes, class_scores, min_size and ignore, also at runtime."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pcan_model.core.config import CLASSES
from pcan_model.core.geometry import Letterbox
from pcan_model.core.structures import Detections
from pcan_ros.node.parameters import ParameterError, Settings
from pcan_ros.node.selection import admissions

SQUARE = Letterbox((100, 100), (100, 100))
TWO = ("/left", "/right")


def kept(settings: Settings, camera: int = 0, score: float = 0.6) -> set[str]:
    """Return the classes of which a detection at 10, 10 to 30, 30 is tracked."""
    n = len(CLASSES)
    boxes = np.tile(np.array([[10, 10, 30, 30]], np.float32), (n, 1))
    scores = np.full(n, score, np.float32)
    found = Detections(boxes, scores, np.arange(n), np.zeros((n, 1), np.float32), np.arange(n))
    admitted = admissions(settings, CLASSES)[camera].admit(found, SQUARE)
    return {CLASSES[label] for label in admitted.labels}


def test_by_default_everything_is_tracked() -> None:
    assert kept(Settings()) == set(CLASSES)


def test_only_the_named_classes_are_tracked() -> None:
    assert kept(Settings(classes="car, truck")) == {"car", "truck"}


def test_a_class_score_applies_to_its_class_only() -> None:
    assert kept(Settings(class_scores="car=0.7,bus=0.5")) == set(CLASSES) - {"car"}
    assert kept(Settings(classes="car,bus", class_scores="car=0.7, train=0.1")) == {"bus"}


def test_small_objects_are_ignored() -> None:
    assert kept(Settings(min_size=20.0)) and not kept(Settings(min_size=21.0))


def test_regions_apply_to_all_cameras_or_to_one(tmp_path: Path) -> None:
    polygon = "0,0 50,0 50,50 0,50"
    assert not kept(Settings(ignore=polygon))
    assert kept(Settings(cameras=TWO, ignore=f"1: {polygon};"), camera=0)
    assert not kept(Settings(cameras=TWO, ignore=f"0:90,90 99,90 99,99; 1: {polygon};"), camera=1)
    cv2.imwrite(str(tmp_path / "bonnet.png"), np.full((10, 10), 255, np.uint8))
    assert not kept(Settings(ignore=str(tmp_path / "bonnet.png")))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(classes="car,lorry"), "classes: expected classes of pedestrian, .*; got 'lorry'"),
        (Settings(class_scores="lorry=0.4"), "class_scores: expected classes of pedestrian, .*; got 'lorry'"),
        (Settings(class_scores="car"), "class_scores: expected CLASS=SCORE .*, got 'car'"),
        (Settings(class_scores="car=1.5"), "class_scores: expected CLASS=SCORE .*, got 'car=1.5'"),
        (Settings(class_scores="car=nan"), "class_scores: expected CLASS=SCORE .*, got 'car=nan'"),
        (Settings(ignore="0,0 10,10"), "ignore: expected 3 corners or more .*; got '0,0 10,10'"),
        (Settings(ignore="/nowhere.png"), "ignore: expected 3 corners or more .*; got '/nowhere.png'"),
        (Settings(ignore="2: 0,0 1,0 1,1"), "ignore: expected a camera from 0 to 0, got '2: 0,0 1,0 1,1'"),
    ],
)
def test_invalid_text_is_reported(settings: Settings, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        admissions(settings, CLASSES)


def test_over_dds_selections_change_at_runtime_and_invalid_ones_are_rejected(tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    from rcl_interfaces.msg import ParameterType, ParameterValue
    from support.robot import image, robot
    from support.squares import export_squares, pixels

    def text(value: str) -> ParameterValue:
        return ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)

    scene = pixels({2: (5, 10), 0: (60, 20)})
    with robot(export_squares(tmp_path / "squares"), classes="car") as r:
        assert [i.class_name for i in r.track(image(scene, 1.0)).instances] == ["car"]
        assert r.set_parameter("classes", text("")).successful
        assert len(r.track(image(scene, 1.1)).instances) == 2
        assert r.set_parameter("ignore", text("0,0 40,0 40,60 0,60")).successful
        assert [i.class_name for i in r.track(image(scene, 1.2)).instances] == ["pedestrian"]
        refused = r.set_parameter("classes", text("lorry"))
        assert not refused.successful and "got 'lorry'" in refused.reason
