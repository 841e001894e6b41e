"""Boxes around visible sides: anchored at what is seen, extended by what is known of the class."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.lifting import MOUNTED

from pcan_model.core.space import Floats, Pose
from pcan_model.lifting.config import shape_of
from pcan_model.lifting.ground_box import fit_box

CAR = shape_of("car")
LENGTH, WIDTH, HEIGHT = CAR.size


def sides(centre: tuple[float, float], yaw: float, *, rear: bool = True, right: bool = True) -> Floats:
    """Points on the rear and the right side of a typical car."""
    height = np.linspace(0, HEIGHT, 9)
    found = []
    if rear:
        across = np.linspace(-WIDTH / 2, WIDTH / 2, 21)
        found.append(np.stack(np.meshgrid([-LENGTH / 2], across, height), -1).reshape(-1, 3))
    if right:
        along = np.linspace(-LENGTH / 2, LENGTH / 2, 41)
        found.append(np.stack(np.meshgrid(along, [-WIDTH / 2], height), -1).reshape(-1, 3))
    return Pose.planar(*centre, yaw).apply(np.concatenate(found))


def test_the_rear_alone_gives_a_whole_car_behind_it() -> None:
    box = fit_box(sides((12.0, 0.5), 0.0, right=False), MOUNTED, 0.0, CAR)
    np.testing.assert_allclose(box.centre, [12.0, 0.5, HEIGHT / 2], atol=0.1)
    np.testing.assert_allclose(box.size, CAR.size, atol=0.1)
    assert math.cos(box.yaw) == pytest.approx(1.0)


@pytest.mark.parametrize("degrees", [20, 40, 65])
def test_two_visible_sides_tell_the_direction(degrees: int) -> None:
    yaw = math.radians(degrees)
    box = fit_box(sides((12.0, 4.0), yaw), MOUNTED, 0.01, CAR)
    assert abs(math.cos(box.yaw - yaw)) > math.cos(math.radians(5))
    np.testing.assert_allclose(box.centre[:2], (12.0, 4.0), atol=0.35)


def test_a_known_heading_is_kept() -> None:
    assert fit_box(sides((12.0, 0.0), 0.0), MOUNTED, 0.01, CAR, yaw=0.3).yaw == 0.3


def test_noise_along_the_line_of_sight_does_not_lengthen_the_car() -> None:
    points = sides((30.0, 0.0), 0.0, right=False)
    points[:, 0] += np.random.default_rng(1).normal(0, 0.8, len(points))
    box = fit_box(points, MOUNTED, 0.8, CAR)
    assert box.size[0] == LENGTH and abs(box.centre[0] - 30) < 0.8


def test_a_size_that_was_seen_before_is_kept() -> None:
    box = fit_box(
        sides((12.0, 0.0), 0.0, right=False), MOUNTED, 0.0, CAR, yaw=0.0, known=np.array([5.4, 1, 1])
    )
    assert box.size[0] == pytest.approx(5.4) and box.centre[0] == pytest.approx(
        12 - LENGTH / 2 + 2.7, abs=0.1
    )


def test_the_border_of_the_image_hides_the_end_that_it_cuts() -> None:
    crossing = sides((12.0, 6.0), -math.pi / 2)  # drives to the right, its left part beyond the border
    seen = crossing[crossing[:, 1] < 6.0]
    box = fit_box(seen, MOUNTED, 0.0, CAR, yaw=-math.pi / 2, cut=(True, False))
    assert box.centre[1] == pytest.approx(6.0, abs=0.2)


def test_a_hidden_lower_part_is_added_below_the_top() -> None:
    points = sides((12.0, 0.0), 0.0, right=False)
    box = fit_box(points[points[:, 2] > 1.0], MOUNTED, 0.0, CAR)
    assert box.size[2] == HEIGHT and box.centre[2] == pytest.approx(HEIGHT / 2, abs=0.1)
