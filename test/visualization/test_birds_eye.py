"""The bird's-eye view shows boxes where they are around the camera, whichever way it looks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pcan_model.core.space import OPTICAL, Box3D, Pose
from pcan_model.visualization.birds_eye import AHEAD, ASIDE, BEHIND, beside, birds_eye
from pcan_model.visualization.overlay import colour

HEIGHT = 320
SCALE = HEIGHT / (AHEAD + BEHIND)


def looking(x: float, y: float, yaw: float) -> Pose:
    return Pose.planar(x, y, yaw) @ Pose(OPTICAL, np.array([0.0, 0.0, 1.5]))


def box(ahead: float, left: float, camera: Pose) -> Box3D:
    centre = camera.translation + camera.rotation[:, 2] * ahead - camera.rotation[:, 0] * left
    size, still = np.array([4.0, 4.0, 1.5]), np.zeros(3)
    return Box3D(3, 2, 0.9, centre, size, 0.0, still, directed=False, points=9)


def centre_of(image: np.ndarray, identity: int = 3) -> np.ndarray:
    rows, columns = np.nonzero((image == colour(identity)).all(-1))
    return np.array([columns.mean(), rows.mean()])


@pytest.mark.parametrize("yaw", [0.0, 1.0, -2.5])
def test_a_box_is_drawn_ahead_and_aside_of_the_camera(yaw: float) -> None:
    camera = looking(100.0, -20.0, yaw)
    image = birds_eye([box(30.0, 10.0, camera)], camera, HEIGHT)
    assert image.shape == (HEIGHT, round(2 * ASIDE * SCALE), 3)
    expected = [(ASIDE - 10.0) * SCALE, (AHEAD - 30.0) * SCALE]
    np.testing.assert_allclose(centre_of(image), expected, atol=3)


def test_a_predicted_box_is_hollow() -> None:
    camera = looking(0.0, 0.0, 0.0)
    measured = box(20.0, 0.0, camera)
    predicted = replace(measured, points=0, covariance=np.eye(4))
    empty = birds_eye([], camera, HEIGHT)
    full, hollow = ((birds_eye([b], camera, HEIGHT) != empty).any(-1).sum() for b in (measured, predicted))
    assert 0 < hollow < 0.8 * full


def test_boxes_far_outside_change_nothing() -> None:
    camera = looking(0.0, 0.0, 0.0)
    empty = birds_eye([], camera, HEIGHT)
    np.testing.assert_array_equal(birds_eye([box(5000.0, 900.0, camera)], camera, HEIGHT), empty)


def test_the_view_is_on_the_right_of_the_image() -> None:
    image = np.full((HEIGHT, 50, 3), 7, np.uint8)
    both = beside(image, birds_eye([], looking(0, 0, 0), HEIGHT))
    assert (both[:, :50] == 7).all() and both.shape[1] > 50
