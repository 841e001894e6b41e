"""Tracks wait for their measurement and transforms, and are dropped with a reason."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from pcan_model.core.frame_tree import FrameError, LateError
from pcan_ros.lifter.pairing import QUEUE, Pairing, Stamped


class Waiting:
    """A pairing and what it does."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.error: FrameError | None = None
        self.pairing = Pairing[str](
            self._poses, slop=0.05, timeout=0.5, name="depth image", refuse=self.refused.append
        )

    def _poses(self, *_: object) -> str:
        if self.error is not None:
            raise self.error
        return "poses"

    def tracks(self, stamp: float, arrived: float = 0.0) -> None:
        self.pairing.add_tracks(Stamped(stamp, "tracks", arrived))

    def measured(self, *stamps: float) -> None:
        for stamp in stamps:
            self.pairing.add_measured(Stamped(stamp, "depth", 0.0))

    def ready(self, now: float = 0.0) -> list[tuple[float, float]]:
        return [(pair.tracks.stamp, pair.measured.stamp) for pair in self.pairing.ready(now)]


def test_equal_stamps_are_paired_whatever_comes_first() -> None:
    waiting = Waiting()
    waiting.tracks(1.0)
    assert waiting.ready() == []
    waiting.measured(1.0, 1.1)
    waiting.tracks(1.1)
    assert waiting.ready() == [(1.0, 1.0), (1.1, 1.1)] and not waiting.refused


def test_the_nearest_measurement_is_awaited() -> None:
    waiting = Waiting()
    waiting.tracks(1.0)
    waiting.measured(0.96)
    assert waiting.ready() == []
    waiting.measured(1.01)
    assert waiting.ready() == [(1.0, 1.01)]


def test_an_early_measurement_serves_when_no_other_comes() -> None:
    waiting = Waiting()
    waiting.tracks(1.0)
    waiting.measured(0.96)
    assert waiting.ready(now=0.6) == [(1.0, 0.96)]


def test_tracks_without_a_near_measurement_are_dropped_at_once_when_later_ones_come() -> None:
    waiting = Waiting()
    waiting.tracks(1.0)
    waiting.measured(0.9, 1.2)
    assert waiting.ready() == []
    assert waiting.refused == ["the nearest depth image is 0.100 s earlier than the tracks, slop is 0.05 s"]


def test_clocks_that_are_apart_are_blamed() -> None:
    waiting = Waiting()
    waiting.tracks(1.0)
    waiting.measured(1000.0)
    assert waiting.ready() == []
    assert waiting.refused[0].endswith(
        "999.000 s later than the tracks, slop is 0.05 s: are the clocks synchronised?"
    )


def test_without_any_measurement_the_wait_ends() -> None:
    waiting = Waiting()
    waiting.tracks(1.0)
    assert waiting.ready(now=0.4) == [] and not waiting.refused
    assert waiting.ready(now=0.6) == []
    assert waiting.refused == ["no depth image arrived within 0.5 s"]


@pytest.mark.parametrize("kind", [FrameError, LateError])
def test_transforms_are_awaited_and_then_named(kind: type[FrameError]) -> None:
    waiting = Waiting()
    waiting.error = kind("frame 'base': too old")
    waiting.tracks(1.0)
    waiting.measured(1.0)
    assert waiting.ready(now=0.4) == [] and not waiting.refused
    waiting.error = None
    assert waiting.ready(now=0.4) == [(1.0, 1.0)]
    waiting.error = kind("frame 'base': too old")
    waiting.tracks(1.1)
    waiting.measured(1.1)
    assert waiting.ready(now=0.6) == [] and waiting.refused == ["frame 'base': too old"]


def test_too_many_waiting_tracks_are_dropped_from_the_oldest() -> None:
    waiting = Waiting()
    for k in range(QUEUE + 2):
        waiting.tracks(float(k))
    assert len(waiting.refused) == 2
    waiting.measured(0.0, 1.0, 2.0)
    assert waiting.ready() == [(2.0, 2.0)]
