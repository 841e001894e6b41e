"""Boxes by a flat road, and the choice between depth and road."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.lifting import CAMERA, MOUNTED, rear_of_car, tracks

from pcan_model.core.config import CLASSES
from pcan_model.core.structures import Tracks
from pcan_model.lifting.config import shape_of
from pcan_model.lifting.ground_plane import FlatRoad
from pcan_model.lifting.measurements import DepthImage
from pcan_model.lifting.views import ClipBoxes

ROAD = FlatRoad(focal=CAMERA.fx / CAMERA.width, camera_height=1.5, horizon=CAMERA.cy / CAMERA.height)
LENGTH = shape_of("car").size[0]


def seen(distance: float, left: float = 0.0) -> Tracks:
    mask, _ = rear_of_car(distance, left)
    height, width = mask.crop.shape
    box = np.array([mask.x, mask.y, mask.x + width, mask.y + height], np.float32)
    found = tracks(mask)
    return replace(found, instances=(replace(found.instances[0], box=box),))


def test_the_lower_edge_of_a_box_tells_its_place_on_the_road() -> None:
    (box,) = ROAD.boxes(seen(15.0, left=2.0), CLASSES)
    assert box.centre[0] == pytest.approx(15.0 + LENGTH / 2, rel=0.05)
    assert box.centre[1] == pytest.approx(2.0, abs=0.1) and not box.directed


def test_what_ends_at_the_horizon_has_no_place() -> None:
    found = seen(15.0)
    floating = replace(found.instances[0], box=np.array([10, 10, 30, CAMERA.cy + 1], np.float32))
    assert ROAD.boxes(replace(found, instances=(floating,)), CLASSES) == ()


def test_a_clip_with_depth_uses_it_and_one_without_uses_the_road() -> None:
    _, depth = rear_of_car(15.0)
    lifted = ClipBoxes(CLASSES, FlatRoad(), lambda index: (DepthImage(CAMERA, depth), MOUNTED))
    (by_depth,), pose = lifted.boxes(seen(15.0))
    (by_road,), _ = ClipBoxes(CLASSES, ROAD).boxes(seen(15.0))
    assert pose is MOUNTED and by_depth.points > 0 == by_road.points
    np.testing.assert_allclose(by_depth.centre[:2], by_road.centre[:2], atol=0.8)
    assert ClipBoxes(CLASSES, ROAD).boxes(None)[0] == ()
