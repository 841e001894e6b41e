"""Points under masks: from depth and lidar alike, without borders and without what is no measurement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.lifting import CAMERA, points_of, rear_of_car, tracks

from pcan_model.core.structures import Mask
from pcan_model.lifting.config import LiftingConfig
from pcan_model.lifting.measurements import DepthImage, LidarPoints, MeasurementError, without_border

CONFIG = LiftingConfig()


def test_depth_and_lidar_give_the_points_under_the_mask_without_its_border() -> None:
    mask, depth = rear_of_car(10.0, left=1.0)
    seen = tracks(mask)
    (by_depth,) = DepthImage(CAMERA, depth).points(seen, [mask], CONFIG)
    (by_lidar,) = LidarPoints(CAMERA, points_of(depth)).points(seen, [mask], CONFIG)
    assert len(by_depth) == len(by_lidar) == np.count_nonzero(without_border(mask, CONFIG)) < mask.area
    for points in (by_depth, by_lidar):
        np.testing.assert_allclose(points[:, 2], 10.0)
        np.testing.assert_allclose(points[:, 0].mean(), -1.0, atol=0.03)


def test_each_point_belongs_to_the_mask_it_projects_into() -> None:
    (a, near), (b, far) = rear_of_car(8.0, left=3.0), rear_of_car(14.0, left=-3.0)
    seen = tracks(a, b)
    cloud = np.concatenate([points_of(near), points_of(far)])
    first, second = LidarPoints(CAMERA, cloud).points(seen, [a, b], CONFIG)
    assert (first[:, 2] == 8.0).sum() and (second[:, 2] == 14.0).sum()
    assert first[:, 0].max() < 0 < second[:, 0].min()


@pytest.mark.parametrize("nothing", [np.nan, 0.0, -1.0, np.inf, 500.0])
def test_what_is_no_measurement_is_no_point(nothing: float) -> None:
    mask, depth = rear_of_car(10.0)
    depth[:] = nothing
    (by_depth,) = DepthImage(CAMERA, depth).points(tracks(mask), [mask], CONFIG)
    assert len(by_depth) == 0
    cloud = np.array([[0.0, 1.0, nothing], [nothing, 0.0, 0.0]])
    (by_lidar,) = LidarPoints(CAMERA, cloud).points(tracks(mask), [mask], CONFIG)
    assert len(by_lidar) == 0


def test_large_masks_are_thinned() -> None:
    _, depth = rear_of_car(10.0)
    mask = Mask(20, 20, np.ones((90, 200), np.uint8))
    (points,) = DepthImage(CAMERA, depth).points(tracks(mask), [mask], replace(CONFIG, most_points=100))
    assert 100 <= len(points) < 200


def test_a_thin_mask_keeps_its_border_for_depth_only() -> None:
    thin = Mask(5, 5, np.ones((40, 2), np.uint8))
    assert without_border(thin, CONFIG).all()
    assert not without_border(thin, CONFIG, strict=True).any()


def test_another_size_than_the_image_is_refused() -> None:
    mask, depth = rear_of_car(10.0)
    with pytest.raises(MeasurementError, match=r"depth: expected 320 x 120 .* got 160 x 60"):
        DepthImage(CAMERA, depth[::2, ::2]).points(tracks(mask), [mask], CONFIG)
    small = replace(CAMERA, height=60)
    with pytest.raises(MeasurementError, match=r"camera_info: expected 320 x 120 .* got 320 x 60"):
        LidarPoints(small, np.zeros((0, 3))).points(tracks(mask), [mask], CONFIG)


def test_a_mask_beyond_the_image_is_refused() -> None:
    mask = Mask(300, 20, np.ones((10, 40), np.uint8))
    for measured in (DepthImage(CAMERA, rear_of_car(10.0)[1]), LidarPoints(CAMERA, np.zeros((0, 3)))):
        with pytest.raises(MeasurementError, match="mask: expected inside 320 x 120, reaches to column 340"):
            measured.points(tracks(mask), [mask], CONFIG)
