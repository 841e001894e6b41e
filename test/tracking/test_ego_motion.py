"""Odometry moves predictions where the object stands, and is not used while it predicts worse."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.lifting import CAMERA, MOUNTED

from pcan_model.core.config import InputConfig
from pcan_model.core.geometry import fit_image
from pcan_model.core.space import Floats, Pinhole, Pose
from pcan_model.core.structures import CameraPlace, EgoTrust, Track
from pcan_model.tracking import motion
from pcan_model.tracking.camera_motion import CameraMotion
from pcan_model.tracking.ego_motion import EgoMotion, ego_motion, judged, trusted

SIZE = CAMERA.height, CAMERA.width
LETTERBOX = fit_image(
    SIZE, InputConfig(height=2 * SIZE[0], width=2 * SIZE[1])
)  # network pixels: half as large


NONE = np.zeros(0, np.float32)
TRACK = Track(1, 0, NONE, 2, 0.9, NONE, np.zeros(2, np.float32), 0, 0, 0.0)


def place(x: float = 0.0, yaw: float = 0.0, **changes: Any) -> CameraPlace:
    return replace(CameraPlace(Pose.planar(x, 0.0, yaw) @ MOUNTED, CAMERA), **changes)


def box_at(where: CameraPlace, ahead: float, left: float, tall: float = 1.5) -> Floats:
    """Centre x, y, width and height, network pixels, of an upright board that stands on the ground."""
    corners = np.array([[ahead, left + 1.0, 0.0], [ahead, left - 1.0, tall]])
    pixels = 2 * where.camera.project(where.pose.inverse().apply(corners))
    return np.concatenate([pixels.mean(0), np.abs(pixels[1] - pixels[0])])


def moved(before: CameraPlace, now: CameraPlace, numbers: Floats, track_id: int = 1) -> Floats:
    """Return the box where odometry says that it is now."""
    source = ego_motion(before, now, LETTERBOX, 1.0)
    assert source is not None
    matrix = source.carry(numbers, 1.0, track_id).matrix
    return np.concatenate([matrix @ [*numbers[:2], 1.0], numbers[2:] * matrix[0, 0]])


@pytest.mark.parametrize("now", [place(4.0), place(0.0, 0.2), place(3.0, -0.15)])
def test_a_standing_object_is_predicted_where_the_camera_sees_it_next(now: CameraPlace) -> None:
    before = place()
    predicted = moved(before, now, box_at(before, 15.0, 2.0))
    np.testing.assert_allclose(predicted, box_at(now, 15.0, 2.0), rtol=0.02, atol=2.0)


def test_a_measured_depth_replaces_the_ground() -> None:
    before = place(depths={7: 15.0})
    lifted = box_at(before, 15.0, 2.0)
    lifted[1] -= 30.0  # as of a traffic light: it does not stand on the ground
    numbers = moved(before, place(4.0), lifted, track_id=7)
    assert numbers[2] / lifted[2] == pytest.approx(15 / 11, rel=1e-3)
    assert moved(before, place(4.0), lifted, track_id=8)[2] < numbers[2]


def test_above_the_horizon_only_rotation_moves_a_box() -> None:
    before = place()
    sky = np.array([320.0, 20.0, 40.0, 40.0])
    driven, turned = moved(before, place(3.0), sky), moved(before, place(0.0, 0.1), sky)
    np.testing.assert_allclose(driven, sky, atol=3)
    assert turned[0] - sky[0] == pytest.approx(2 * CAMERA.fx * math.tan(0.1), rel=0.05)


def test_near_objects_are_less_certain_than_far_ones_when_the_camera_drives() -> None:
    source = EgoMotion(place(), place(2.0), LETTERBOX)
    near, far = (source.carry(box_at(place(), ahead, 3.0), 0.2, 1).spread for ahead in (6.0, 30.0))
    assert (near > 3 * far).all()


def test_without_both_places_or_with_a_jump_odometry_is_unknown() -> None:
    assert ego_motion(None, place(), LETTERBOX, 0.1) is None
    assert ego_motion(place(), None, LETTERBOX, 0.1) is None
    assert ego_motion(place(), place(500.0), LETTERBOX, 0.1) is None
    assert ego_motion(place(), place(1.0), LETTERBOX, 0.0) is None


def test_odometry_that_predicts_worse_loses_trust_and_regains_it() -> None:
    before = place()
    numbers = box_at(before, 12.0, 1.0)
    box = np.concatenate([numbers[:2] - numbers[2:] / 2, numbers[:2] + numbers[2:] / 2]).astype(np.float32)
    good, bad = ([replace(TRACK, box=at, motion=motion.begin(at, 0.0))] for at in (box, box + np.float32(40)))
    trust = EgoTrust()
    assert trusted(trust)
    trust = judged(trust, bad, good, box[None])
    assert not trusted(trust)
    for _ in range(15):
        trust = judged(trust, good, bad, box[None])
    assert trusted(trust)
    assert judged(trust, [], [], np.zeros((0, 4), np.float32)) == trust


def test_the_seam_is_that_of_the_image_motion() -> None:
    start = motion.begin(np.array([100, 100, 140, 160], np.float32), 0.0)
    by_image = motion.predict(start, 0.1, CameraMotion(np.array([[1.0, 0, 5], [0, 1, -3]]), 640))
    np.testing.assert_allclose(by_image.mean[:2, 0], [125.0, 127.0])
    odometry = EgoMotion(place(), place(0.0, 0.05), LETTERBOX)
    by_odometry = motion.predict(start, 0.1, odometry, 1)
    assert by_odometry.mean[0, 0] > 140


def test_a_tracker_keeps_the_id_of_a_standing_object_while_the_camera_turns() -> None:
    from benchmarks.ego_motion import Seen, switches  # the scorer of the ablation
    from pcan_model.core.config import load_config
    from pcan_model.core.structures import Frame

    camera = Pinhole(600.0, 600.0, 320.0, 120.0, 384, 640)
    image, seen = np.zeros((384, 640, 3), np.uint8), []
    for k in range(12):  # 0.25 rad to and fro between frames: 150 pixels
        where = place(0.0, 0.125 if k % 2 else -0.125, camera=camera)
        numbers = np.array([box_at(where, 14.0, left) / 2 for left in (3.5, 0.0, -3.5)])
        boxes = np.concatenate([numbers[:, :2] - numbers[:, 2:] / 2, numbers[:, :2] + numbers[:, 2:] / 2], 1)
        frame = Frame(image, 0.2 * k)
        seen.append(Seen(frame, boxes.astype(np.float32), np.full(3, 2), np.arange(1, 4), where))
    config = replace(load_config("pcan_street").tracker, camera_motion=False)
    with_odometry, _ = switches(seen, "exact", config, seed=0)
    without, _ = switches(seen, "none", config, seed=0)
    assert with_odometry == 0 < without
