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
from pcan_model.core.structures import CameraPlace, Detections, Ego, Frame, Track
from pcan_model.tracking import motion
from pcan_model.tracking.camera_motion import CameraMotion
from pcan_model.tracking.ego_motion import AHEAD, EgoMotion, judged, with_odometry

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


def moved(before: CameraPlace, now: CameraPlace, numbers: Floats) -> Floats:
    """Return the box where odometry says that it is now."""
    matrix = EgoMotion(before, now, LETTERBOX).carry(numbers, 1.0).matrix
    return np.concatenate([matrix @ [*numbers[:2], 1.0], numbers[2:] * matrix[0, 0]])


@pytest.mark.parametrize("now", [place(4.0), place(0.0, 0.2), place(3.0, -0.15)])
def test_a_standing_object_is_predicted_where_the_camera_sees_it_next(now: CameraPlace) -> None:
    before = place()
    predicted = moved(before, now, box_at(before, 15.0, 2.0))
    np.testing.assert_allclose(predicted, box_at(now, 15.0, 2.0), rtol=0.02, atol=2.0)


def test_a_measured_depth_replaces_the_ground() -> None:
    depth = np.full(SIZE, np.nan, np.float32)
    depth[:, ::5] = 15.0  # sparse, as of a lidar
    before, measured = place(), place(depth=depth)
    lifted = box_at(before, 15.0, 2.0)
    lifted[1] -= 30.0  # as of a traffic light: it does not stand on the ground
    numbers = moved(measured, place(4.0), lifted)
    assert numbers[2] / lifted[2] == pytest.approx(15 / 11, rel=1e-3)
    assert moved(before, place(4.0), lifted)[2] < numbers[2]
    unmeasured = place(depth=np.zeros(SIZE, np.float32))
    np.testing.assert_array_equal(moved(unmeasured, place(4.0), lifted), moved(before, place(4.0), lifted))
    with pytest.raises(ValueError, match=r"CameraPlace: depth: expected \(120, 320\) like the camera, got"):
        place(depth=depth[:, ::2])


def test_above_the_horizon_only_rotation_moves_a_box() -> None:
    before = place()
    sky = np.array([320.0, 20.0, 40.0, 40.0])
    driven, turned = moved(before, place(3.0), sky), moved(before, place(0.0, 0.1), sky)
    np.testing.assert_allclose(driven, sky, atol=3)
    assert turned[0] - sky[0] == pytest.approx(2 * CAMERA.fx * math.tan(0.1), rel=0.05)


def test_near_objects_are_less_certain_than_far_ones_when_the_camera_drives() -> None:
    source = EgoMotion(place(), place(2.0), LETTERBOX)
    near, far = (source.carry(box_at(place(), ahead, 3.0), 0.2).spread for ahead in (6.0, 30.0))
    assert (near > 3 * far).all()


def test_the_camera_of_a_place_has_the_size_of_the_image() -> None:
    image = np.zeros((*SIZE, 3), np.uint8)
    assert Frame(image, 0.0, place=place()).place is not None
    with pytest.raises(ValueError, match=r"Frame: place: expected a camera of \(60, 320\) like the image"):
        Frame(image[:60], 0.0, place=place())


def told(*places: CameraPlace | None, interval: float = 0.1) -> Ego | None:
    """Return what is known after these places, one a frame from time 0."""
    ego = None
    for k, each in enumerate(places):
        _, ego = with_odometry((), ego, each, LETTERBOX, k * interval)
    return ego


def tracked(box: Any, **filters: Any) -> Track:
    return replace(TRACK, motion=motion.begin(box, 0.0), **filters)


def test_the_first_place_and_a_jump_begin_anew() -> None:
    first = told(place())
    assert first is not None and first.place.pose.translation[0] == 0
    assert told(None) is None
    track = tracked(BOX, ego=motion.begin(BOX, 0.0))
    (after,), jumped = with_odometry((track,), replace(first, used=True), place(500.0), LETTERBOX, 0.1)
    assert jumped is not None and after.ego is None and not jumped.used
    (after,), moved_on = with_odometry((track,), first, place(1.0), LETTERBOX, 0.1)
    assert after.ego is not None and after.ego.stamp == 0.1 and moved_on is not None
    _, again = with_odometry((), first, place(0.5), LETTERBOX, 0.0)
    assert again is not None and len(again.told) == 1, "no time has passed"


def test_a_missing_place_is_extrapolated_for_a_while() -> None:
    ego = told(place(0.0), place(1.0, 0.02), None)
    assert ego is not None and ego.stamp == 0.2
    np.testing.assert_allclose(ego.place.pose.translation[:2], [2.0, 0.0], atol=1e-9)
    assert ego.place.pose.rotation[0, 2] == pytest.approx(math.cos(0.04))
    late = told(place(0.0), place(1.0), *[None] * 9)
    assert late is not None and 0.3 < late.stamp < 0.1 + AHEAD + 1e-6, "then the filters wait"
    once = told(place(), None)
    assert once is not None and once.stamp == 0.0, "one place tells no motion"


def test_filters_without_odometry_are_as_if_there_were_none() -> None:
    track = tracked(BOX, ego=motion.begin(BOX, 0.0))
    (after,), _ = with_odometry((track,), told(place()), place(0.0, 0.2), LETTERBOX, 0.1)
    assert after.motion is track.motion
    assert after.ego is not None and after.ego.mean[0, 0] > 300


BOX = np.array([200, 60, 240, 100], np.float32)


def detections(*boxes: Any, labels: Any = None, embeds: Any = None) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(count, 0.9, np.float32),
        np.full(count, 2) if labels is None else np.array(labels),
        np.ones((count, 2), np.float32) if embeds is None else np.array(embeds, np.float32),
        np.arange(count),
    )


def test_odometry_is_used_once_it_predicts_clearly_better_and_not_longer() -> None:
    here, there = motion.begin(BOX, 0.0), motion.begin(BOX + np.float32(30), 0.0)
    seen = replace(TRACK, embed=np.ones(2, np.float32))
    good, bad = replace(seen, ego=here, motion=there), replace(seen, ego=there, motion=here)
    alike = replace(seen, ego=here, motion=here)
    ego = told(place())
    assert ego is not None and not ego.used
    assert not (judged(ego, [bad], detections(BOX), 0.0) or ego).used
    assert not (judged(ego, [good], detections(BOX), 0.5) or ego).used, "not placed at that time"
    ego = judged(ego, [good], detections(BOX), 0.0)
    assert ego is not None and ego.used, "judged before it is used, in the same frame"
    assert (judged(ego, [alike], detections(BOX), 0.0) or ego).used
    for _ in range(2):
        ego = judged(ego, [bad], detections(BOX), 0.0)
    assert ego is not None and not ego.used


def test_only_pairs_that_look_alike_are_judged() -> None:
    here, there = motion.begin(BOX, 0.0), motion.begin(BOX + np.float32(30), 0.0)
    track = replace(TRACK, embed=np.array([1, 0], np.float32), ego=here, motion=there)
    ego = told(place())
    assert judged(ego, [track], detections(BOX, labels=[0]), 0.0) == ego, "another class"
    assert judged(ego, [track], detections(), 0.0) == ego
    assert judged(ego, [], detections(BOX), 0.0) == ego
    two = detections(BOX, BOX + np.float32(30), embeds=[[0, 1], [1, 0.1]])
    judgement = judged(ego, [track], two, 0.0)
    assert judgement is not None and judgement.other == 0 < judgement.error


def test_the_seam_is_that_of_the_image_motion() -> None:
    start = motion.begin(np.array([100, 100, 140, 160], np.float32), 0.0)
    by_image = motion.predict(start, 0.1, CameraMotion(np.array([[1.0, 0, 5], [0, 1, -3]]), 640))
    np.testing.assert_allclose(by_image.mean[:2, 0], [125.0, 127.0])
    odometry = EgoMotion(place(), place(0.0, 0.05), LETTERBOX)
    by_odometry = motion.predict(start, 0.1, odometry)
    assert by_odometry.mean[0, 0] > 140


def test_a_tracker_keeps_the_id_of_a_standing_object_while_the_camera_turns() -> None:
    from benchmarks.damaged_odometry import exact, mounted
    from benchmarks.ego_motion import Seen, switches  # the scorer of the ablation
    from pcan_model.core.config import load_config

    camera = Pinhole(600.0, 600.0, 320.0, 120.0, 384, 640)
    image, seen = np.zeros((384, 640, 3), np.uint8), []
    for k in range(12):  # 0.25 rad to and fro between frames: 150 pixels
        where = place(0.0, 0.125 if k % 2 else -0.125, camera=camera)
        numbers = np.array([box_at(where, 14.0, left) / 2 for left in (3.5, 0.0, -3.5)])
        boxes = np.concatenate([numbers[:, :2] - numbers[:, 2:] / 2, numbers[:, :2] + numbers[:, 2:] / 2], 1)
        frame = Frame(image, 0.2 * k)
        seen.append(Seen(frame, boxes.astype(np.float32), np.full(3, 2), np.arange(1, 4), where))
    config = replace(load_config("pcan_street").tracker, camera_motion=False)
    with_odometry, _ = switches(seen, exact, config, seed=0)
    without, _ = switches(seen, None, config, seed=0)
    wrong, _ = switches(seen, mounted(roll=90.0), config, seed=0)
    assert with_odometry == 0 < without == wrong
