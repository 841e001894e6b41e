"""What each signal measures, by numbers computed by hand."""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import pytest

from pcan_model.core.structures import Mask, Slots, TrackedInstance, Tracks, TrackState
from pcan_model.ranking.choose import choose, uncertainty
from pcan_model.ranking.signals import (
    Signals,
    churn,
    disagreement,
    prototype_jump,
    prototype_likeness,
    score_doubt,
)


def slots(*, fresh: tuple[float, ...] = (0.0, 0.0)) -> Slots:
    """Two detections, which own rows 1 and 3 of a bank of four."""
    owner, has = np.array([0, 0, 0, 1]), np.array([0, 1, 0, 1], np.float32)
    return Slots(np.array([1, 3]), np.array(fresh, np.float32), owner, has)


def tracks(*squares: tuple[int, int], states: tuple[TrackState, ...] = (), index: int = 1) -> Tracks:
    """Return tracks with a square mask of 4 x 4 pixels each, at (x, y), and some without."""
    crop = np.ones((4, 4), np.uint8)
    kinds = states or (TrackState.TRACKED,) * len(squares)
    none = np.zeros(2, np.float32)
    found = tuple(
        TrackedInstance(
            k + 1, uuid4(), kind, 0, int(kind == TrackState.LOST), 2, 0.9, np.zeros(4, np.float32), none,
            Mask(x, y, crop),
        )
        for k, ((x, y), kind) in enumerate(zip(squares, kinds, strict=True))
    )  # fmt: skip
    return Tracks(0.0, 20, 30, index, found)


def test_prototypes_of_foreground_and_background_that_coincide_are_alike() -> None:
    x, y = np.array([2.0, 0.0]), np.array([0.0, 3.0])
    bank = np.zeros((4, 4, 2))
    bank[1], bank[3] = [x, x, y, y], [x, y, y, y]  # two of foreground, two of background
    assert prototype_likeness(bank, slots(), 2) == pytest.approx((0 + 0 + 0 + 1) / 4)
    bank[0] = bank[2] = 1.0  # rows of no detection
    assert prototype_likeness(bank, slots(), 2) == pytest.approx(1 / 4)


def test_without_background_prototypes_nothing_is_alike() -> None:
    assert prototype_likeness(np.ones((4, 2, 3)), slots(), 2) == 0


def test_the_jump_is_that_of_continued_tracks_only() -> None:
    before, after = np.zeros((4, 2, 2)), np.zeros((4, 2, 2))
    after[1] = [[3, 4], [0, 0]]
    after[3] = 100
    assert prototype_jump(before, after, slots(fresh=(0.0, 1.0))) == pytest.approx((5 + 0) / 2)
    assert prototype_jump(before, after, slots(fresh=(1.0, 1.0))) == 0


def test_disagreement_counts_overlap_and_objects_without_partner() -> None:
    one = tracks((2, 2))
    assert disagreement(one, one) == 0
    assert disagreement(one, tracks((4, 2))) == pytest.approx(1 - 8 / 24)
    assert disagreement(one, tracks((2, 2), (10, 10))) == pytest.approx(1 - 1 / 2)
    assert disagreement(one, tracks()) == disagreement(tracks(), one) == 1
    assert disagreement(tracks(), tracks()) == 0


def test_an_object_has_one_partner_only() -> None:
    assert disagreement(tracks((2, 2)), tracks((2, 2), (2, 3))) == pytest.approx(1 - 1 / 2)


def test_scores_in_the_middle_are_doubtful() -> None:
    assert score_doubt(np.array([0.5, 1.0, 0.25])) == pytest.approx((1 + 0 + 0.5) / 3)
    assert score_doubt(np.zeros(0)) == 0


def test_churn_counts_beginnings_and_losses_but_not_in_the_first_frame() -> None:
    kinds = (TrackState.NEW, TrackState.LOST, TrackState.TRACKED, TrackState.TRACKED)
    places = ((0, 0), (5, 0), (10, 0), (15, 0))
    assert churn(tracks(*places, states=kinds)) == pytest.approx(2 / 4)
    assert churn(tracks(*places, states=kinds, index=0)) == 0
    assert churn(tracks()) == 0


def test_uncertainty_is_the_mean_rank_over_the_signals_that_vary() -> None:
    signals = [Signals(jump=5.0, churn=0.0), Signals(jump=1.0, churn=0.2), Signals(jump=9.0, churn=0.2)]
    assert uncertainty(signals).tolist() == pytest.approx([(0.5 + 0) / 2, (0 + 0.75) / 2, (1 + 0.75) / 2])
    assert uncertainty([Signals(), Signals()]).tolist() == [0, 0]
    assert uncertainty([]).tolist() == []


def test_the_chosen_frames_are_uncertain_and_different() -> None:
    scores = np.array([1.0, 0.99, 0.5, 0.1])
    features = np.array([[0.0], [0.0], [5.0], [10.0]])
    assert choose(scores, features, 2) == [0, 2]  # 0.5 * 5 > 0.1 * 10 > 0.99 * 0
    assert sorted(choose(scores, features, 9)) == [0, 1, 2, 3]
    assert choose(scores[:0], features[:0], 3) == []
