"""The price of real time, by hand-made numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.bags import Squares

from pcan_model.core.stamps import seconds
from pcan_model.core.structures import Tracks
from pcan_model.data.clips import START, time_of
from pcan_model.evaluation.predict import Prediction
from pcan_model.evaluation.predictions import collect_predictions
from pcan_model.evaluation.real_time import Cost, timing_of
from pcan_model.evaluation.report.summary import summarise


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


def test_the_cost_is_lockstep_minus_real_time_in_hota_and_in_bdd100ks_mmotsa() -> None:
    clip, predictions = Squares(), []
    for missed in ((), (1, 3)):
        predicted = [
            Prediction(clip.read(i), Tracks(0.0, 64, 96, i, ()), 0.2, i in missed) for i in range(len(clip))
        ]
        one = collect_predictions(lambda _, predicted=predicted: iter(predicted), clip)
        pairs = enumerate(zip(one.ground_truth, one.predicted, strict=True))
        seen = tuple(nothing if i in missed else true for i, (true, nothing) in pairs)
        predictions.append(replace(one, predicted=seen))
    whole, partly = (summarise([one], ("pedestrian", "rider", "car")) for one in predictions)
    cost = Cost(timing_of(1.0, [predictions[1].seconds]), whole, partly)
    plain = cost.plain()
    assert (plain["frames"], plain["dropped"]) == (6, 2)
    assert plain["lockstep"] == {"hota": 1.0, "mmotsa": pytest.approx(2 / 3)}
    # 6 cars and 4 people, 2 of each missed; the third class does not occur and counts as 0
    assert plain["real_time"]["mmotsa"] == pytest.approx((4 / 6 + 2 / 4) / 3)
    assert f"mMOTSA: 66.7 in lock-step, 38.9 in real time, cost {100 * (2 / 3 - 7 / 18):.1f}" in cost.text()


def test_frames_are_stamped_by_their_rate_as_a_node_reads_them() -> None:
    assert [time_of(i, 10.0) - START for i in range(3)] == [0, 100_000_000, 200_000_000]
    assert time_of(1, 3.0) - START == 333_333_333
    assert seconds(time_of(1, 3.0)) == 1.0 + 333_333_333 * 1e-9
