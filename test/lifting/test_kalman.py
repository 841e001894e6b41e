"""The filter of places: exact on straight lines, independent of the rate, and robust to one wrong place."""

from __future__ import annotations

import numpy as np
import pytest

from pcan_model.lifting import kalman

NOISE = 0.2**2 * np.eye(2)


def test_it_learns_a_velocity_within_its_own_uncertainty() -> None:
    rng, velocity = np.random.default_rng(0), np.array([8.0, -3.0])
    motion = kalman.begin(np.zeros(2), NOISE, 8.0)
    for k in range(1, 21):
        motion = kalman.predict(motion, 0.1, 2.0)
        motion = kalman.correct(motion, 0.1 * k * velocity + rng.normal(0, 0.2, 2), NOISE)
    error = motion.mean[2:] - velocity
    assert error @ np.linalg.solve(motion.covariance[2:, 2:], error) < 9.2
    assert motion.speed == pytest.approx(8.5, abs=1.0) and motion.speed_noise < 1.0


def test_a_prediction_does_not_depend_on_its_steps() -> None:
    start = kalman.begin(np.array([1.0, 2.0]), NOISE, 8.0)
    once, twice = kalman.predict(start, 0.6, 2.0), kalman.predict(kalman.predict(start, 0.2, 2.0), 0.4, 2.0)
    np.testing.assert_allclose(once.mean, twice.mean)
    np.testing.assert_allclose(once.covariance, twice.covariance)


def test_a_place_far_beyond_the_gate_moves_little() -> None:
    motion = kalman.begin(np.zeros(2), NOISE, 0.1)
    for _ in range(10):
        motion = kalman.correct(kalman.predict(motion, 0.1, 0.5), np.zeros(2), NOISE)
    after = kalman.correct(kalman.predict(motion, 0.1, 0.5), np.array([20.0, 0.0]), NOISE)
    assert 0 < after.mean[0] < 0.5
