"""The object is the nearest mode of depth: not the background, not stray points before it."""

from __future__ import annotations

import numpy as np

from pcan_model.lifting.nearest_mode import nearest_mode

RNG = np.random.default_rng(0)


def test_background_behind_a_gap_is_left_out_even_if_it_has_more_points() -> None:
    depth = np.concatenate([RNG.normal(10, 0.05, 40), RNG.normal(16, 0.1, 100)])
    assert nearest_mode(depth, 0.05).tolist() == [True] * 40 + [False] * 100


def test_a_few_stray_points_before_the_object_are_left_out() -> None:
    depth = np.concatenate([RNG.uniform(3, 8, 10), RNG.normal(20, 0.2, 100)])
    kept = nearest_mode(depth, 0.2)
    assert not kept[:10].any() and kept[10:].mean() > 0.95


def test_a_long_object_is_one_mode_and_ends_at_its_class_length() -> None:
    depth = np.linspace(10, 40, 600)
    kept = depth[nearest_mode(depth, 0.03, longest=5.0)]
    assert kept[0] == 10 and 4.5 < kept[-1] - kept[0] < 7.5
    assert nearest_mode(np.linspace(10, 14.5, 50), 0.03, longest=5.0).all()


def test_one_point_is_its_own_mode() -> None:
    assert nearest_mode(np.array([7.0]), 0.03).tolist() == [True]
