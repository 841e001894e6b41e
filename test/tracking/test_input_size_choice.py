from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from support.scripted_engine import ScriptedEngine, Thing, blank, small_config

from pcan_model.core.config import load_config
from pcan_model.core.geometry import Letterbox
from pcan_model.core.structures import FrameKind
from pcan_model.tracking.input_size_choice import PATIENT, SizeChoice, resized, usable_sizes
from pcan_model.tracking.pace import Pace
from pcan_model.tracking.tracker import Tracker

PIXELS = (384 * 640, 576 * 1024, 736 * 1280)
SECONDS = (0.055, 0.094, 0.137)  # of a key frame
PROPAGATED = 0.008


def run(
    budget: float, frames: int, slow: tuple[int, int] = (0, 0), noise: float = 0.0
) -> tuple[list[int], list[float]]:
    """Simulate a camera; returns the index of the size and the seconds of each frame.

    slow  first and last frame of a time in which the machine takes twice as long
    """
    pace, choice = Pace(budget), SizeChoice.of(PIXELS)
    random, sizes, spent = np.random.default_rng(0), list[int](), list[float]()
    for index in range(frames):
        kind = pace.kind()
        seconds = SECONDS[choice.index] if kind is FrameKind.KEY else PROPAGATED
        seconds *= (2 if slow[0] <= index < slow[1] else 1) * (1 + noise * random.uniform(-1, 1))
        sizes.append(choice.index)
        spent.append(seconds)
        pace = pace.after(kind, seconds)
        if kind is FrameKind.KEY and (after := choice.after(pace)).index != choice.index:
            choice, pace = after, replace(pace, key=after.expected(after.index))
        elif kind is FrameKind.KEY:
            choice = after
    return sizes, spent


@pytest.mark.parametrize(("budget", "size"), [(0.02, 0), (0.033, 0), (0.06, 1), (0.09, 2), (1.0, 2)])
def test_the_largest_size_is_taken_at_which_every_second_frame_is_a_key_frame(
    budget: float, size: int
) -> None:
    sizes, spent = run(budget, 800)

    assert sizes[-1] == size and np.mean(spent[-200:]) <= budget


def test_the_size_falls_when_the_machine_slows_down_and_recovers() -> None:
    sizes, _ = run(0.06, 1500, slow=(400, 800))

    assert (sizes[399], sizes[799], sizes[-1]) == (1, 0, 1)


def test_the_size_does_not_swing_with_the_measurements() -> None:
    for budget in (0.045, 0.051, 0.055, 0.072):  # some where a size just fits
        sizes, _ = run(budget, 3000, noise=0.2)
        assert sum(a != b for a, b in pairwise(sizes[300:])) <= 2700 / 60, budget


def test_a_larger_size_must_fit_for_a_while() -> None:
    sizes, _ = run(1.0, 3 * PATIENT)

    assert sizes.index(2) == PATIENT and 1 not in sizes


def test_sizes_that_enlarge_the_cameras_images_are_not_chosen() -> None:
    base = load_config("pcan_street").input
    inputs = [replace(base, height=h, width=w) for h, w in ((384, 640), (576, 1024), (736, 1280))]
    images = {(360, 640): 1, (240, 320): 1, (480, 640): 1, (720, 1280): 3, (600, 1200): 2, (1080, 1920): 3}
    assert {source: usable_sizes(source, inputs) for source in images} == images

    fast = Pace(1.0, key=0.05)
    choice = replace(SizeChoice.of(PIXELS), fitting=PATIENT)
    assert [choice.after(fast, usable).index for usable in (1, 2, 3)] == [0, 1, 2]
    assert replace(choice, index=2).after(fast, 1).index == 0, "left at once"


def test_without_a_budget_the_size_stays() -> None:
    assert SizeChoice.of(PIXELS).after(Pace(0.0, key=0.1)) == SizeChoice.of(PIXELS)


def test_an_invalid_choice_is_named() -> None:
    with pytest.raises(ValueError, match=r"expected ascending numbers > 0, got \(3, 2\)"):
        SizeChoice.of((3, 2))


def test_a_state_at_another_size_and_back_is_the_same() -> None:
    tracker = Tracker(ScriptedEngine([[Thing(1, (10, 20, 30, 50))]] * 2, small_config(motion="kalman")))
    state = tracker.start()
    for index in range(2):
        state, _ = tracker.step(state, blank(index / 10))
    small, large = Letterbox((64, 96), (64, 96)), Letterbox((64, 96), (128, 192))

    doubled = resized(state, small, large)
    (track,), (known,) = doubled.tracks, state.tracks
    assert track.box == pytest.approx(2 * known.box) and track.embed is known.embed
    assert track.motion is not None and known.motion is not None
    assert track.motion.mean == pytest.approx(2 * known.motion.mean)
    assert track.motion.covariance == pytest.approx(4 * known.motion.covariance)
    assert resized(doubled, large, small).tracks[0].motion.covariance == pytest.approx(  # type: ignore[union-attr]
        known.motion.covariance
    )
    assert resized(state, small, small) is state
