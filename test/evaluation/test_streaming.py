"""Streaming accuracy: what exists when an image arrives, in simulated time."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from support.scripted_engine import ScriptedEngine, Thing, small_config

from pcan_model.core.config import ConfigError
from pcan_model.core.structures import Frame, FrameKind, Tracks
from pcan_model.data.clips import Clip, ClipFrame
from pcan_model.evaluation.predict import EVERY_FRAME, predict_clip
from pcan_model.evaluation.setup import Setup
from pcan_model.evaluation.streaming import FrameTimes, predict_streaming
from pcan_model.tracking.pace import Pace
from pcan_model.tracking.tracker import Tracker

KEY, PROPAGATED = FrameKind.KEY, FrameKind.PROPAGATED


class Still(Clip):
    """Ten equal images a second."""

    name, rate, labelled = "still", 10.0, False

    def __init__(self, frames: int) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return self._frames

    def read(self, index: int) -> ClipFrame:
        self._check_index(index, self._frames)
        noise = np.random.default_rng(0).integers(0, 255, (16, 24, 3), np.uint8)
        return self._frame(index, cv2.resize(noise, (96, 64), interpolation=cv2.INTER_CUBIC))


class Stub:
    """A tracker that answers with the frame's stamp, and keeps the kinds it was asked for."""

    def __init__(self) -> None:
        self.kinds: list[FrameKind] = []

    def start(self) -> Any:
        return SimpleNamespace(drifted=False)

    def step(self, state: Any, frame: Frame, kind: FrameKind) -> tuple[Any, Tracks]:
        self.kinds.append(kind)
        return state, Tracks(frame.stamp, 64, 96, len(self.kinds) - 1, (), kind)


def ages(
    times: FrameTimes, frames: int, pace: Pace = EVERY_FRAME
) -> tuple[list[float | None], list[FrameKind]]:
    """Return how many frame intervals old the answer at each image is, None where there is none."""
    stub: Any = Stub()
    said = list(predict_streaming(stub, times, Still(frames), pace))
    return [None if each.dropped else round(10 * each.seconds, 6) for each in said], stub.kinds


def test_a_fast_tracker_answers_for_the_image_before() -> None:
    shown, kinds = ages(FrameTimes(0.04, 0.01), 5)

    assert shown == [None, 1, 1, 1, 1] and len(kinds) == 5


def test_a_slow_tracker_drops_images_and_takes_the_newest() -> None:
    # images 0, 1, 2, 4, 5 begin at 0, 1.45, 2.9, 4.35 and 5.8 intervals
    shown, kinds = ages(FrameTimes(0.145, 0.01), 7)

    assert shown == [None, None, 2, 2, 3, 3, 2] and len(kinds) == 5


def test_propagated_frames_make_answers_younger() -> None:
    slow, _ = ages(FrameTimes(0.18, 0.02), 40)
    mixed, kinds = ages(FrameTimes(0.18, 0.02), 40, Pace(interval=3))
    young = [age for age in mixed if age is not None]

    assert kinds[:4] == [KEY, PROPAGATED, PROPAGATED, KEY]
    assert np.mean(young) < np.mean([age for age in slow if age is not None])


def test_the_budget_chooses_the_interval_by_the_given_times() -> None:
    _, kinds = ages(FrameTimes(0.18, 0.02), 60, Pace(0.065))

    assert kinds[-8:].count(KEY) == 2  # 0.18 and three times 0.02 s: a mean of 0.06


def test_lock_step_propagates_between_key_frames() -> None:
    config = small_config(motion="kalman", camera_motion=True)
    engine = ScriptedEngine([[Thing(1, (10, 10, 30, 30))]] * 3, config)

    said = list(predict_clip(Tracker(engine), Still(7), Pace(interval=3)))

    assert [each.tracks.kind for each in said] == [KEY, PROPAGATED, PROPAGATED] * 2 + [KEY]
    assert all(len(each.tracks.found()) == 1 for each in said) and len(engine.slots) == 3


@pytest.mark.parametrize("times", [(0.0, 0.1), (0.1, float("inf")), (0.1, -1.0)])
def test_invalid_times_are_named(times: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="--streaming: expected two times above 0 s"):
        FrameTimes(*times)


def test_a_budget_needs_times_and_propagation_a_view() -> None:
    with pytest.raises(ConfigError, match="--latency-budget: expected --streaming"):
        Setup("model", latency_budget=0.05).open()
    tiny = replace(Setup("model"), key_interval=2)
    engine = ScriptedEngine([], small_config())
    own = type("Own", (Setup,), {"make_engine": lambda self: engine})
    with pytest.raises(ConfigError, match="camera_motion: expected true"):
        own(tiny.model, key_interval=tiny.key_interval).open()
