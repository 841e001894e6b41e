"""MaskTrack R-CNN's association in the tracker gives the ids of SipMask's own tracker."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest
from support.associating import advance, f32
from support.sipmask import random_boxes

from pcan_model.core.config import load_config
from pcan_model.core.sipmask_config import SipMaskConfig
from pcan_model.core.structures import Detections, State
from pcan_model.sipmask.association import NONE, AssociatedObjects, track
from pcan_model.tracking.masktrack import BEATEN, NEW, CueWeights, best_of_each, match_by_cues

PRESET = load_config("sipmask_r50_youtube_vis").tracker


def objects(count: int, seed: int) -> AssociatedObjects:
    random = np.random.default_rng(seed)
    scores = np.sort(random.uniform(0.1, 1, count).astype(np.float32))[::-1].copy()
    embeds = (0.5 * random.standard_normal((count, 6))).astype(np.float32)
    return AssociatedObjects(random_boxes(count, seed), scores, random.integers(0, 2, count), embeds)


@pytest.mark.parametrize("seed", range(8))
def test_a_video_gets_the_ids_of_sipmasks_own_association(seed: int) -> None:
    random = np.random.default_rng(seed)
    memory, state = None, State(None, UUID(int=1))
    both = {}
    for frame in range(6):
        now = objects(int(random.integers(0, 7)), 100 * seed + frame)
        expected, memory, _ = track(now, memory, first=frame == 0, config=SipMaskConfig())
        found = Detections(now.boxes, now.scores, now.labels, now.embeds, np.arange(len(now)))
        ids, state, kept = advance(state, found, frame, PRESET)
        assert len(kept) == len(now)
        for theirs, ours in zip(expected.tolist(), ids, strict=True):
            assert (theirs == NONE) == (ours < 0)
            if theirs != NONE:
                assert both.setdefault(theirs, ours) == ours
    assert len(set(both.values())) == len(both)


def test_of_two_detections_of_an_object_only_the_better_one_continues_it() -> None:
    assert best_of_each(np.array([0, 1, 0, NEW]), f32([1, 5, 2, 9]), 3).tolist() == [2, 1, NEW]
    assert best_of_each(np.array([0, 0]), f32([4, 4]), 1).tolist() == [0], "the first of equals"


def test_weights_change_what_matches() -> None:
    state = State(None, UUID(int=1))
    boxes = f32([[0, 0, 9, 9], [50, 50, 59, 59]])
    embeds = f32([[3, 0], [0, 3]])
    first = Detections(boxes, f32([0.9, 0.8]), np.array([0, 0]), embeds, np.arange(2))
    _, state, _ = advance(state, first, 0, PRESET)
    swapped = Detections(boxes, f32([0.9, 0.8]), np.array([0, 0]), embeds[::-1].copy(), np.arange(2))
    by_looks = match_by_cues(swapped, state.tracks, CueWeights())
    by_place = match_by_cues(swapped, state.tracks, CueWeights(iou=100.0))
    assert by_looks.tolist() == [1, 0] and by_place.tolist() == [0, 1]
    assert BEATEN not in by_looks
