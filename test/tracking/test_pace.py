from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from pcan_model.core.structures import FrameKind
from pcan_model.tracking.pace import LONGEST, Pace, shared

KEY, PROPAGATED = FrameKind.KEY, FrameKind.PROPAGATED


def run(
    pace: Pace, frames: int, seconds: Callable[[int, FrameKind], float], drifted: tuple[int, ...] = ()
) -> tuple[Pace, list[FrameKind], float]:
    """Let a pace choose every frame; returns the last pace, the kinds, and the mean time."""
    kinds, spent = list[FrameKind](), 0.0
    for index in range(frames):
        kinds.append(pace.kind(drifted=index in drifted))
        cost = seconds(index, kinds[-1])
        spent += cost
        pace = pace.after(kinds[-1], cost)
    return pace, kinds, spent / frames


def steady(index: int, kind: FrameKind) -> float:
    return 0.057 if kind is KEY else 0.007


def test_without_a_budget_every_frame_is_a_key_frame() -> None:
    assert set(run(Pace(), 20, steady, drifted=(3, 7))[1]) == {KEY}


def test_a_fixed_interval_does_not_depend_on_times() -> None:
    assert run(Pace(interval=3), 7, lambda i, k: 10.0 * i)[1] == [KEY, PROPAGATED, PROPAGATED] * 2 + [KEY]


@pytest.mark.parametrize("budget", [0.01, 0.02, 0.033, 0.05])
def test_the_mean_time_stays_within_the_budget_and_uses_it(budget: float) -> None:
    pace, kinds, _ = run(Pace(budget), 300, steady)
    longer, shorter = (0.007 + 0.05 / interval for interval in (pace.interval, pace.interval - 1))

    assert kinds[-pace.interval :].count(KEY) == 1 and longer <= budget < shorter


def test_a_budget_above_the_key_frame_keeps_every_frame_one() -> None:
    assert set(run(Pace(0.06), 50, steady)[1]) == {KEY}


def test_a_budget_below_the_propagated_frame_gives_the_longest_interval() -> None:
    assert run(Pace(0.005), 100, steady)[0].interval == LONGEST


def test_the_interval_adapts_when_the_machine_slows_down_and_recovers() -> None:
    def throttled(index: int, kind: FrameKind) -> float:
        return steady(index, kind) * (2 if 200 <= index < 600 else 1)

    before, slow, after = (run(Pace(0.033), frames, throttled)[0].interval for frames in (200, 600, 1500))

    assert slow > before and after == before


def test_the_interval_does_not_swing_with_the_measurements() -> None:
    def noisy(index: int, kind: FrameKind) -> float:
        return steady(index, kind) * (1.1 if index % 7 < 3 else 0.9)

    intervals = [Pace(0.0335)]
    for index in range(600):
        kind = intervals[-1].kind()
        intervals.append(intervals[-1].after(kind, noisy(index, kind)))
    changes = sum(a.interval != b.interval for a, b in pairwise(intervals[60:]))

    assert changes <= 6  # once every three seconds at 30 frames a second


def test_one_slow_frame_does_not_change_the_interval_for_long() -> None:
    pace = run(Pace(0.033), 100, steady)[0]
    shocked = pace.after(KEY, 3.0)

    assert shocked.interval <= pace.interval + 1
    assert run(shocked, 60, steady)[0].interval == pace.interval


def test_drift_pulls_a_key_frame_forward_and_the_next_one_comes_later() -> None:
    kinds = run(Pace(interval=6), 24, steady, drifted=(1, 2, 3))[1]
    keys = [index for index, kind in enumerate(kinds) if kind is KEY]

    assert keys == [0, 3, 12, 18]


def together(intervals: tuple[int, ...], frames: int, drifting: tuple[int, ...]) -> list[list[int]]:
    """Let cameras with fixed intervals share; returns the indices of the key frames of each."""
    paces = {camera: Pace(interval=interval) for camera, interval in enumerate(intervals)}
    keys: list[list[int]] = [[] for _ in intervals]
    for index in range(frames):
        for camera in paces:
            kind = paces[camera].kind(drifted=camera in drifting)
            paces[camera] = paces[camera].after(kind, 0.0)
            if kind is KEY:
                keys[camera].append(index)
            paces = shared(paces, drifting)
    return keys


@pytest.mark.parametrize("intervals", [(6, 6), (4, 4, 4), (4, 8), (8, 4)])
def test_a_camera_whose_tracks_drift_gets_key_frames_of_the_others(intervals: tuple[int, ...]) -> None:
    alone, frames = 600 / intervals[0], 600
    keys = together(intervals, frames, drifting=(0,))
    calm = [len(each) for each in together(intervals, frames, drifting=())]
    gaps = [max(b - a for a, b in pairwise(each)) for each in keys]

    assert len(keys[0]) > 1.2 * alone
    assert sum(map(len, keys)) <= 1.01 * sum(calm) + len(intervals)  # the mean time stays the same
    assert all(gap <= 2 * interval for gap, interval in zip(gaps, intervals, strict=True))


def test_cameras_that_all_drift_pay_for_themselves() -> None:
    keys = together((6, 6), 600, drifting=(0, 1))

    assert [len(each) for each in keys] == pytest.approx([100, 100], abs=2)


def test_without_drift_sharing_changes_nothing() -> None:
    assert together((6, 3), 60, drifting=()) == [list(range(0, 60, 6)), list(range(0, 60, 3))]


def test_an_invalid_budget_is_named() -> None:
    with pytest.raises(ValueError, match=r"budget >= 0 s and interval >= 1, got -1 and 1"):
        Pace(-1)
