"""The price of real time, by hand-made numbers."""

from __future__ import annotations

import numpy as np
import pytest
from support.bags import Squares

from pcan_model.data.timing import START, seconds, time_of
from pcan_model.evaluation.real_time import timing_of, watched
from pcan_model.evaluation.setup import Answer
from pcan_model.structures import Tracks


def test_latencies_are_percentiles_of_what_was_answered_and_jitter_is_within_clips() -> None:
    timing = timing_of(2.0, [[0.1, None, 0.3], [0.2, 0.2]])
    assert (timing.frames, timing.answered, timing.dropped) == (5, 4, 1)
    assert timing.p50 == pytest.approx(0.2)
    assert timing.p99 == pytest.approx(np.percentile([0.1, 0.3, 0.2, 0.2], 99))
    assert timing.jitter == pytest.approx((0.2 + 0.0) / 2)


def test_without_an_answer_there_is_no_latency() -> None:
    timing = timing_of(1.0, [[None, None], []])
    assert (timing.frames, timing.dropped) == (2, 2)
    assert timing.p50 is timing.p95 is timing.p99 is timing.jitter is None


def test_watching_changes_nothing_and_notes_drops() -> None:
    clip = Squares(frames=2)
    said = [Answer(clip.frame(i), Tracks(0.0, 64, 96, i, ()), 0.5 * i, dropped=i == 0) for i in range(2)]
    latencies: list[list[float | None]] = []
    assert list(watched(lambda _: iter(said), latencies)(clip)) == said
    assert latencies == [[None, 0.5]]


def test_frames_are_stamped_by_their_rate_as_a_node_reads_them() -> None:
    assert [time_of(i, 10.0) - START for i in range(3)] == [0, 100_000_000, 200_000_000]
    assert time_of(1, 3.0) - START == 333_333_333
    assert seconds(time_of(1, 3.0)) == 1.0 + 333_333_333 * 1e-9
