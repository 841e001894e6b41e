"""The motion filter is independent of the frame rate, and its uncertainty is consistent."""

from __future__ import annotations

import numpy as np
import pytest
from support.associating import f32

from pcan_model.core.structures import Motion
from pcan_model.tracking import motion
from pcan_model.tracking.camera_motion import CameraMotion

BOX = f32([100, 50, 140, 90])
STILL = np.array([[1.0, 0, 0], [0, 1, 0]])


def followed(rate: float, seconds: float, speed: float) -> Motion:
    """Return a filter that saw a box move to the right."""
    known = motion.begin(BOX, 0.0)
    for frame in range(1, round(seconds * rate) + 1):
        shift = f32([1, 0, 1, 0]) * speed * frame / rate
        known = motion.correct(motion.predict(known, frame / rate), BOX + shift)
    return known


def test_many_short_steps_predict_what_one_long_step_does() -> None:
    start = motion.begin(BOX, 0.0)
    long, short = motion.predict(start, 0.5), start
    for frame in range(1, 16):
        short = motion.predict(short, frame / 30)

    np.testing.assert_allclose(short.mean, long.mean, atol=1e-9)
    np.testing.assert_allclose(short.covariance, long.covariance, rtol=1e-9)


@pytest.mark.parametrize("rate", [30, 5, 2])
def test_a_box_that_keeps_its_speed_is_where_the_filter_expects_it(rate: float) -> None:
    known = followed(rate, 3, speed=60.0)
    later = motion.box_of(motion.predict(known, 3.5))

    np.testing.assert_allclose(later, BOX + f32([1, 0, 1, 0]) * 210, atol=4)


def test_a_gate_of_13_3_keeps_99_of_100_true_pairs() -> None:
    expected = motion.predict(followed(5, 2, speed=60.0), 2.2)
    random = np.random.default_rng(0)
    spread = np.sqrt(expected.covariance[:, 0, 0] + motion._noise(expected.mean[:, 0]) ** 2)
    numbers = expected.mean[:, 0] + random.normal(size=(20_000, 4)) * spread
    corners = [numbers[:, :2] - numbers[:, 2:] / 2, numbers[:, :2] + numbers[:, 2:] / 2]

    apart = motion.distances(f32(np.concatenate(corners, 1)), [expected])

    assert np.mean(apart <= 13.3) == pytest.approx(0.99, abs=0.003)


def test_uncertainty_grows_while_a_track_is_not_detected() -> None:
    known, beside = followed(10, 1, speed=0.0), (BOX + f32([32, 0, 32, 0]))[None]

    soon, late = (motion.distances(beside, [motion.predict(known, t)])[0, 0] for t in (1.1, 2.0))

    assert soon > 13.3 > late


def test_a_stamp_that_goes_back_does_not_move_the_box() -> None:
    known = followed(10, 1, speed=60.0)

    np.testing.assert_array_equal(motion.predict(known, 0.2).mean, known.mean)


def test_a_box_follows_the_camera() -> None:
    camera = CameraMotion(np.array([[2.0, 0, -30], [0, 2, 5]]), 640)

    moved = motion.box_of(motion.predict(motion.begin(BOX, 0.0), 0.1, camera))

    np.testing.assert_allclose(moved, BOX * 2 + f32([-30, 5, -30, 5]))


def test_an_unknown_camera_motion_increases_the_uncertainty() -> None:
    known, beside = followed(10, 1, speed=0.0), (BOX + f32([36, 0, 36, 0]))[None]
    unknown, still = CameraMotion(None, 640), CameraMotion(STILL, 640)

    sure, unsure = (
        motion.distances(beside, [motion.predict(known, 1.2, camera)])[0, 0] for camera in (still, unknown)
    )

    assert sure > 13.3 > unsure
