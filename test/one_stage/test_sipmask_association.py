"""SipMask's association: ids against a plain loop, and the repaired rules beside the public code's."""

from __future__ import annotations

import numpy as np
import pytest
from support.sipmask import random_boxes

from pcan_model.core.sipmask_config import SipMaskConfig
from pcan_model.sipmask.association import NONE, AssociatedObjects, results, track
from pcan_model.tracking.masktrack import CueWeights, matching_scores, overlap_pixels

CONFIG, WEIGHTS = SipMaskConfig(), CueWeights()


def found(
    count: int, seed: int, *, classes: int = 3, length: int = 6, spread: float = 2.0
) -> AssociatedObjects:
    random = np.random.default_rng(seed)
    scores = np.sort(random.uniform(0.1, 1, count).astype(np.float32))[::-1].copy()
    embeds = (spread * random.standard_normal((count, length))).astype(np.float32)
    return AssociatedObjects(random_boxes(count, seed), scores, random.integers(0, classes, count), embeds)


def of(*objects: tuple[list[float], float, int, list[float]]) -> AssociatedObjects:
    boxes, scores, labels, embeds = zip(*objects, strict=True)
    rows = [np.array(x, np.float32) for x in (boxes, scores, embeds)]
    return AssociatedObjects(rows[0], rows[1], np.array(labels), rows[2])


def test_matching_scores_are_the_formula_of_each_pair() -> None:
    now, memory = found(5, 0), found(4, 1)
    scores = matching_scores(now, now.scores, memory, WEIGHTS)
    for i in range(5):
        products = [0.0, *(float(now.embeds[i] @ memory.embeds[j]) for j in range(4))]
        total = np.log(np.sum(np.exp(products)))
        for j in range(5):
            expected = products[j] - total + np.log(now.scores[i])
            if j:
                expected += 2 * overlap_pixels(now.boxes[i : i + 1], memory.boxes[j - 1 : j])[0, 0]
            expected += 10 * (j == 0 or now.labels[i] == memory.labels[j - 1])
            assert scores[i, j] == pytest.approx(expected, abs=1e-4)


def slow_track(now: AssociatedObjects, memory: AssociatedObjects, *, reference: bool) -> list[int]:
    """Give ids one by one, as the description says."""
    scores = matching_scores(now, now.scores, memory, WEIGHTS)
    ids, size, best = [], len(memory), {}
    for i in range(len(now)):
        j = int(np.argmax(scores[i])) - 1
        if j < 0:
            ids.append(size)
            size += 1
        elif scores[i, j + 1] > best.get(j, -100):
            best[j] = scores[i, j + 1]
            ids.append(j)
        else:
            ids.append(NONE)
    if not reference:
        for j, most in best.items():
            rows = [i for i, own in enumerate(ids) if own == j]
            winner = next(i for i in rows if scores[i, j + 1] == most)
            ids = [NONE if own == j and i != winner else own for i, own in enumerate(ids)]
    return ids


@pytest.mark.parametrize("reference", [False, True])
def test_ids_are_those_of_the_plain_loop(reference: bool) -> None:
    doubles = 0
    for seed in range(40):
        memory, now = found(5, seed, classes=1, spread=0.3), found(9, 100 + seed, classes=1, spread=0.3)
        ids, _, _ = track(now, memory, first=False, config=CONFIG, reference=reference)
        assert ids.tolist() == slow_track(now, memory, reference=reference)
        kept = ids[ids != NONE]
        doubles += len(kept) - len(set(kept.tolist()))
    assert (doubles > 0) == reference


TWICE = (  # one object, seen twice, the weaker match first
    of(([0, 0, 9, 9], 0.9, 0, [3, 0])),
    of(([5, 0, 14, 9], 0.8, 0, [3, 0]), ([0, 0, 9, 9], 0.79, 0, [3, 0])),
)


def test_of_a_double_match_only_the_better_one_bears_the_id() -> None:
    memory, now = TWICE
    ids, after, _ = track(now, memory, first=False, config=CONFIG)
    assert ids.tolist() == [NONE, 0]
    as_public, same, _ = track(now, memory, first=False, config=CONFIG, reference=True)
    assert as_public.tolist() == [0, 0]
    assert after is not None and same is not None
    np.testing.assert_array_equal(after.boxes, same.boxes)
    np.testing.assert_array_equal(after.boxes, now.boxes[1:])


def test_an_empty_first_frame_forgets_the_last_video() -> None:
    old, nothing = found(3, 0), found(0, 0)
    ids, memory, match = track(nothing, old, first=True, config=CONFIG)
    assert not len(ids) and memory is None and match is None
    ids, memory, _ = track(found(2, 1), memory, first=False, config=CONFIG)
    assert ids.tolist() == [0, 1] and memory is not None and len(memory) == 2
    _, kept, _ = track(nothing, old, first=True, config=CONFIG, reference=True)
    assert kept is old


def test_an_empty_frame_within_a_video_changes_nothing() -> None:
    old = found(3, 0)
    _, memory, _ = track(found(0, 0), old, first=False, config=CONFIG)
    assert memory is old


def test_a_matched_object_keeps_its_label_and_takes_box_score_and_embedding() -> None:
    memory = of(([0, 0, 9, 9], 0.9, 0, [9, 0]))
    ids, after, _ = track(of(([1, 0, 9, 9], 0.5, 1, [8, 0])), memory, first=False, config=CONFIG)
    assert ids.tolist() == [0] and after is not None
    assert after.labels.tolist() == [0] and after.scores.tolist() == [0.5]
    assert after.boxes.tolist() == [[1, 0, 9, 9]] and after.embeds.tolist() == [[8, 0]]
    assert memory.scores.tolist() == pytest.approx([0.9])  # the old memory is left as it was


def test_the_memory_shares_no_storage_with_the_detections() -> None:
    now = found(3, 0)
    _, memory, _ = track(now, None, first=True, config=CONFIG)
    assert memory is not None
    before = memory.boxes.copy()
    now.boxes[:] = 0
    np.testing.assert_array_equal(memory.boxes, before)


def test_results_hold_the_last_detection_of_an_id_and_none_without() -> None:
    assert results(np.array([2, NONE, 0, 2])) == {2: 3, 0: 2}


def test_objects_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="boxes': 2, 'scores': 1"):
        AssociatedObjects(
            np.zeros((2, 4), "f"), np.zeros(1, "f"), np.zeros(2, np.int64), np.zeros((2, 3), "f")
        )
