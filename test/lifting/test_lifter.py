"""Lifting of tracks: true places and velocities, states as values, and no box without a measurement."""

from __future__ import annotations

import numpy as np
import pytest
from support.lifting import CAMERA, MOUNTED, PEDESTRIAN, points_of, rear_of_car, tracks

from pcan_model.core.config import CLASSES
from pcan_model.core.space import Pose
from pcan_model.core.stamps import seconds
from pcan_model.core.structures import Mask
from pcan_model.data.true_tracks import true_tracks
from pcan_model.lifting.config import shape_of
from pcan_model.lifting.lifter import FORGOTTEN, Lifter, LiftState
from pcan_model.lifting.measurements import DepthImage, LidarPoints, Measurement
from pcan_model.synthetic.drive import SyntheticDrive

LENGTH = shape_of("car").size[0]


@pytest.fixture
def lifter() -> Lifter:
    return Lifter(CLASSES)


@pytest.mark.parametrize("kind", ["depth", "lidar"])
def test_a_moving_car_seen_from_a_moving_camera_has_its_own_velocity(lifter: Lifter, kind: str) -> None:
    state = LiftState()
    for k in range(15):  # the camera drives with 10 m/s and turns, the car before it with 14 m/s
        stamp = 0.1 * k
        camera = Pose.planar(10 * stamp, 0.0, 0.05 * stamp) @ MOUNTED
        rear = np.array([12.0 + 14 * stamp, 0.5, 0.75])
        local = camera.inverse().apply(rear)
        mask, depth = rear_of_car(float(local[2]), left=-float(local[0]))
        measured: Measurement = DepthImage(CAMERA, depth)
        if kind == "lidar":
            measured = LidarPoints(CAMERA, points_of(depth))
        state, out = lifter.step(state, tracks(mask, stamp=stamp), measured, camera)
    (box,) = out.boxes
    np.testing.assert_allclose(box.velocity, [14.0, 0.0, 0.0], atol=0.6)
    np.testing.assert_allclose(box.centre, [rear[0] + LENGTH / 2, 0.5, 0.75], atol=0.35)
    assert box.directed and abs(box.yaw) < 0.1 and box.points > 100


def test_a_step_does_not_change_its_state(lifter: Lifter) -> None:
    mask, depth = rear_of_car(10.0)
    state, _ = lifter.step(LiftState(), tracks(mask), DepthImage(CAMERA, depth), MOUNTED)
    before = state.bodies[1]
    once, twice = (
        lifter.step(state, tracks(mask, stamp=1.1), DepthImage(CAMERA, depth), MOUNTED)[1] for _ in range(2)
    )
    np.testing.assert_array_equal(once.boxes[0].centre, twice.boxes[0].centre)
    assert state.bodies[1] is before and state.stamp == 1.0


def test_no_depth_is_no_box_and_says_why(lifter: Lifter) -> None:
    mask, depth = rear_of_car(10.0)
    state, out = lifter.step(
        LiftState(), tracks(mask), DepthImage(CAMERA, np.full_like(depth, np.nan)), MOUNTED
    )
    assert out.boxes == () and out.missing == {1: "0 points under the mask, expected 5"}
    assert not state.bodies


def test_a_short_gap_is_bridged_by_the_prediction_and_a_long_one_is_not(lifter: Lifter) -> None:
    mask, depth = rear_of_car(10.0)
    state, _ = lifter.step(LiftState(), tracks(mask), DepthImage(CAMERA, depth), MOUNTED)
    nothing = DepthImage(CAMERA, np.zeros_like(depth))
    state, out = lifter.step(state, tracks(mask, stamp=1.5), nothing, MOUNTED)
    assert [box.points for box in out.boxes] == [0]
    state, out = lifter.step(state, tracks(mask, stamp=2.6), nothing, MOUNTED)
    assert out.boxes == () and 1 in out.missing
    state, _ = lifter.step(state, tracks(stamp=1.1 + FORGOTTEN), nothing, MOUNTED)
    assert not state.bodies


def test_tracks_that_were_not_detected_are_not_lifted(lifter: Lifter) -> None:
    empty = Mask(0, 0, np.zeros((0, 0), np.uint8))
    _, depth = rear_of_car(10.0)
    _, out = lifter.step(LiftState(), tracks(empty), DepthImage(CAMERA, depth), MOUNTED)
    assert out.boxes == () and not out.missing


def test_a_motion_that_was_wrong_from_the_start_begins_anew(lifter: Lifter) -> None:
    state = LiftState()
    for k, distance in enumerate([25.0, 8.0, 8.0, 8.0, 8.0]):
        mask, depth = rear_of_car(distance, wide=0.6)
        seen = tracks(mask, stamp=0.1 * k, label=PEDESTRIAN)
        state, out = lifter.step(state, seen, DepthImage(CAMERA, depth), MOUNTED)
    assert out.boxes[0].centre[0] == pytest.approx(8.3, abs=0.5)
    assert np.linalg.norm(out.boxes[0].velocity) < 1.5


@pytest.mark.parametrize("kind", ["depth", "lidar"])
def test_boxes_of_a_drive_are_near_the_true_ones(kind: str, drive: list) -> None:
    lifter, state, places, speeds, lifted, wanted = Lifter(CLASSES), LiftState(), [], [], 0, 0
    for index, (scene, seen) in enumerate(drive):
        measured: Measurement = DepthImage(scene.camera, scene.depth)
        if kind == "lidar":
            measured = LidarPoints(scene.camera, (scene.optical.inverse() @ scene.lidar).apply(scene.points))
        state, out = lifter.step(state, seen, measured, scene.camera_in_map)
        truth = {box.track_id: box for box in scene.objects}
        places += [np.linalg.norm((box.centre - truth[box.track_id].centre)[:2]) for box in out.boxes]
        if index == len(drive) - 1:
            speeds = [np.linalg.norm(box.velocity - truth[box.track_id].velocity) for box in out.boxes]
        lifted, wanted = lifted + len(out.boxes), wanted + len(seen.instances)
    assert lifted >= 0.8 * wanted
    assert np.median(places) < 1.0 and np.median(speeds) < 1.5


@pytest.fixture(scope="module")
def drive() -> list:
    """Seven frames of a turning drive with noisy sensors."""
    clip = SyntheticDrive(1, 7, 192, 320, rate=10, swing=0.3)
    scenes = [clip.scene(index) for index in range(len(clip))]
    return [(s, true_tracks(clip.frame(k), seconds(s.time), k)) for k, s in enumerate(scenes)]
