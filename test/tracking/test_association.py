from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray
from support.associating import CONFIG, Floats, advance, detections, f32
from support.shared import PARITY, needs
from support.slow_tracker import SlowTracker

from pcan_model.core.geometry import box_iou
from pcan_model.core.structures import Detections, State, Track
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.released.parity.recorder import Motion, moved
from pcan_model.tracking.appearance import bisoftmax
from pcan_model.tracking.association import (
    NONE,
    SUPPRESSED,
    assign,
    match,
    predict,
    unique_detections,
    unmatched_detections,
)

UNIT = PARITY / "unit"


def track(box: Any, look: int, **other: Any) -> Track:
    embed, still = np.eye(8, dtype=np.float32)[look] * 10, np.zeros(2, np.float32)
    values: dict[str, Any] = {"label": 0, "score": 0.9, "velocity": still, "stamp": 0.0} | other
    return Track(1, 0, f32(box), embed=embed, born=0, seen=0, **values)


def softmax_by_loops(logits: Floats) -> Floats:
    rows, columns = logits.shape
    result = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            along = sum(np.exp(logits[i, k]) for k in range(columns))
            down = sum(np.exp(logits[k, j]) for k in range(rows))
            result[i, j] = np.exp(logits[i, j]) * (1 / along + 1 / down) / 2
    return f32(result)


def test_bisoftmax_equals_the_slow_sum() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(4, 6)).astype(np.float32), random.normal(size=(3, 6))

    np.testing.assert_allclose(bisoftmax(a, f32(b)), softmax_by_loops(a @ b.T), rtol=1e-5)


def test_bisoftmax_is_stable_for_huge_embeddings() -> None:
    a = np.eye(3, dtype=np.float32) * 1e4

    np.testing.assert_allclose(bisoftmax(a, a), np.eye(3))


def test_duplicates_of_any_class_are_removed_and_removed_ones_remove_others() -> None:
    boxes = [[0, 0, 100, 10], [20, 0, 120, 10], [40, 0, 140, 10]]  # neighbours overlap by 2/3

    kept = unique_detections(
        detections(boxes, [0.8, 0.9, 0.7], [0, 1, 2]), replace(CONFIG, duplicate_iou=0.5)
    )
    first = unique_detections(detections(boxes, [0.9, 0.8, 0.7]), replace(CONFIG, duplicate_iou=0.5))

    assert kept.labels.tolist() == [1]
    assert first.rows.tolist() == [0], "the third overlaps only the dropped second"


def test_weak_duplicates_are_removed_at_a_lower_overlap() -> None:
    boxes = [[0, 0, 100, 10], [40, 0, 140, 10]]  # overlap 60 / 140

    assert len(unique_detections(detections(boxes, [0.9, 0.31]), CONFIG)) == 2
    assert len(unique_detections(detections(boxes, [0.9, 0.29]), CONFIG)) == 1


def test_the_detection_with_the_higher_score_takes_the_track() -> None:
    score = f32([[0.6, 0.1], [0.9, 0.2]])

    assert assign(score, f32([0.9, 0.8]), 2, CONFIG).tolist() == [0, NONE]


def test_a_match_needs_more_than_the_least_similarity() -> None:
    assert assign(f32([[0.5]]), f32([0.9]), 1, CONFIG).tolist() == [NONE]
    assert assign(f32([[0.51]]), f32([0.9]), 1, CONFIG).tolist() == [0]


def test_a_weak_detection_that_resembles_a_track_is_suppressed() -> None:
    assert assign(f32([[0.9]]), f32([0.3]), 1, CONFIG).tolist() == [SUPPRESSED]


def test_a_detection_most_similar_to_a_backdrop_gets_no_track() -> None:
    assert assign(f32([[0.6, 0.7]]), f32([0.9]), 1, CONFIG).tolist() == [NONE]


def test_different_classes_never_match() -> None:
    found = detections([[0, 0, 9, 9]], [0.9], labels=[1])

    assert match(found, [track([0, 0, 9, 9], 0)], (), stamp=0, config=CONFIG).tolist() == [NONE]


def test_overlap_separates_objects_of_equal_appearance() -> None:
    looks = np.eye(8, dtype=np.float32)[[0, 0]] * 10
    found = detections([[50, 0, 59, 9], [0, 0, 9, 9]], [0.9, 0.8], embeds=looks)
    tracks = [track([0, 0, 9, 9], 0), track([30, 0, 39, 9], 0, velocity=f32([10, 0]))]

    def matched(weight: float) -> list[int]:
        config = replace(CONFIG, iou_weight=weight)
        return list(match(found, tracks, (), stamp=2.0, config=config))

    assert matched(0.0) == [NONE, NONE], "each of two equal looks is worth only a half"
    assert matched(0.3) == [1, 0], "the second track has moved 20 px in 2 s"


def by_overlap(found: Detections, tracks: list[Track], stamp: float = 0.0, **settings: Any) -> list[int]:
    config = replace(CONFIG, association="sort_iou", **settings)
    return list(match(found, tracks, (found,), stamp=stamp, config=config))


def test_sort_iou_gives_the_pairs_of_the_largest_sum_not_the_best_pair_first() -> None:
    tracks = [track([0, 0, 10, 10], 0), track([4, 0, 14, 10], 1)]
    found = detections([[3, 0, 13, 10], [6, 0, 16, 10]], [0.9, 0.8])  # 7/13, 9/11; 4/16, 8/12

    assert by_overlap(found, tracks) == [0, 1]
    assert by_overlap(found, tracks, match_iou=0.6) == [NONE, 1], "7/13 is too little"


def test_sort_iou_equals_trying_every_pairing() -> None:
    random = np.random.default_rng(1)
    corners = random.uniform(0, 30, (9, 2))
    boxes = f32(np.concatenate([corners, corners + random.uniform(20, 40, (9, 2))], 1))
    tracks, found = [track(box, 0) for box in boxes[:5]], detections(boxes[5:], [0.9, 0.8, 0.7, 0.6])
    overlap = box_iou(boxes[5:], boxes[:5])

    best = max(permutations(range(5), 4), key=lambda pairs: sum(overlap[range(4), pairs]))

    assert by_overlap(found, tracks, match_iou=0.0) == list(best)


def test_sort_iou_uses_predicted_boxes_and_never_matches_across_classes() -> None:
    tracks = [track([0, 0, 10, 10], 0, velocity=f32([50, 0]))]

    assert by_overlap(detections([[100, 0, 110, 10]], [0.9]), tracks, stamp=2.0) == [0]
    assert by_overlap(detections([[0, 0, 10, 10]], [0.9]), tracks, stamp=2.0) == [NONE]
    assert by_overlap(detections([[0, 0, 10, 10]], [0.9], labels=[1]), tracks) == [NONE]
    assert by_overlap(detections([[0, 0, 10, 10]], [0.2]), tracks) == [NONE], "too weak to continue one"


def test_sort_iou_ignores_the_embeddings() -> None:
    tracks = [track([0, 0, 10, 10], 0), track([50, 0, 60, 10], 1)]
    swapped = detections([[50, 0, 60, 10], [0, 0, 10, 10]], [0.9, 0.8])  # looks 0 and 1

    assert by_overlap(swapped, tracks) == [1, 0]
    assert list(match(swapped, tracks, (), stamp=0.0, config=CONFIG)) == [0, 1]


def test_prediction_moves_a_box_by_its_velocity_and_never_back() -> None:
    moving = track([0, 0, 4, 2], 0, velocity=f32([10, -5]), stamp=1.0)

    np.testing.assert_allclose(predict(moving, 1.2), [2, -1, 6, 1], rtol=1e-6)
    np.testing.assert_allclose(predict(moving, 0.0), [0, 0, 4, 2])


def test_backdrops_are_unmatched_detections_that_overlap_no_better_box() -> None:
    boxes = [[0, 0, 10, 10], [4, 0, 14, 10], [50, 0, 60, 10], [80, 0, 90, 10]]
    found = detections(boxes, [0.9, 0.6, 0.5, 0.4])

    kept = unmatched_detections(found, np.array([3, NONE, NONE, SUPPRESSED]), CONFIG)

    assert kept.rows.tolist() == [2]


NAMES = {  # of the released tracker's settings, in ours
    "init_score_thr": "init_score",
    "obj_score_thr": "track_score",
    "match_score_thr": "match_score",
    "memo_tracklet_frames": "lost_frames",
    "memo_backdrop_frames": "keep_backdrops",
    "memo_momentum": "momentum",
    "nms_conf_thr": "suppress_score",
    "nms_backdrop_iou_thr": "backdrop_iou",
    "nms_class_iou_thr": "duplicate_iou",
    "match_metric": "similarity",
}
RECORDED = [
    "tracker_bisoftmax", "tracker_bisoftmax_gap", "tracker_softmax", "tracker_cosine", "tracker_nocats",
    "tracker_weak", "tracker_segfeat",
]  # fmt: skip


def configured(settings: dict[str, Any]) -> TrackerConfig:
    values = {ours: settings[theirs] for theirs, ours in NAMES.items()}
    return replace(CONFIG, **values, match_classes="same" if settings["with_cats"] else "any")


def close(ours: Any, expected: NDArray[Any], name: str) -> None:
    ours = np.asarray(ours, np.float64).reshape(expected.shape)
    print(f"{name:24} {np.abs(ours - expected).max(initial=0):.1e}")
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@needs(UNIT)
@pytest.mark.parametrize("name", RECORDED)
def test_ids_memory_and_backdrops_equal_the_released_tracker(name: str) -> None:
    record = np.load(UNIT / f"{name}.npz")
    config = configured(json.loads(str(record["cfg"])))
    if "frames_used" in record:
        frames = dict(zip(record["frames_used"].tolist(), record["frame_ids"].tolist(), strict=True))
    else:
        frames = {k: k for k in range(sum(name.endswith("_in_labels") for name in record))}
    state, motions = State(None, UUID(int=0)), dict[int, Motion]()
    for used, frame in frames.items():
        at = f"f{used:02d}"
        boxes, labels, embeds = (record[f"{at}_in_{key}"] for key in ("bboxes", "labels", "embeds"))
        found = detections(boxes[:, :4], boxes[:, 4], labels, embeds)
        ids, state, kept = advance(state, found, int(frame), config)
        assert ids == record[f"{at}_out_ids"].tolist()
        close(kept.boxes, record[f"{at}_out_bboxes"][:, :4], f"{at} boxes")
        assert kept.labels.tolist() == record[f"{at}_out_labels"].tolist()
        for t in (t for t in state.tracks if t.seen == frame):
            motions[t.track_id] = moved(motions.get(t.track_id), f32([*t.box, t.score]), int(frame))
        if f"{at}_mem_ids" not in record:
            continue
        order = np.argsort(record[f"{at}_mem_ids"])
        assert [t.track_id - 1 for t in state.tracks] == record[f"{at}_mem_ids"][order].tolist()
        assert [t.seen for t in state.tracks] == record[f"{at}_mem_last_frame"][order].tolist()
        close([t.embed for t in state.tracks], record[f"{at}_mem_embed"][order], f"{at} embeds")
        close([t.box for t in state.tracks], record[f"{at}_mem_bbox"][order][:, :4], f"{at} boxes remembered")
        assert [t.label for t in state.tracks] == record[f"{at}_mem_label"][order].tolist()
        own = [motions[t.track_id] for t in state.tracks]
        assert [m.count for m in own] == record[f"{at}_mem_acc_frame"][order].tolist()
        close([m.mean for m in own], record[f"{at}_mem_velocity"][order], f"{at} velocities")
        assert [len(b) for b in state.unmatched] == record[f"{at}_backdrop_counts"].tolist()
        for theirs, ours in (("bboxes", "boxes"), ("embeds", "embeds"), ("labels", "labels")):
            backdrops = np.concatenate([getattr(b, ours) for b in state.unmatched])
            expected = record[f"{at}_backdrop_{theirs}"]
            close(backdrops, expected[:, :4] if ours == "boxes" else expected, f"{at} backdrops")
        assert state.next_id - 1 == int(record[f"{at}_num_tracklets"])


@pytest.mark.parametrize("metric", ["bisoftmax", "softmax", "cosine"])
@pytest.mark.parametrize("classes", ["same", "any"])
def test_ids_equal_those_of_a_slow_tracker_of_plain_loops(metric: str, classes: str) -> None:
    config = replace(CONFIG, similarity=metric, match_classes=classes, lost_frames=3, keep_backdrops=2)
    state, slow, seen = State(None, UUID(int=0)), SlowTracker(config), set()
    for frame, (boxes, scores, labels, embeds) in enumerate(crowd(seed=4)):
        found = detections(boxes, scores, labels, embeds)
        ids, state, kept = advance(state, found, frame, config)
        rows, expected = slow.step(boxes, scores, labels, embeds, frame)
        assert kept.rows.tolist() == rows and ids == expected
        assert {t.track_id - 1 for t in state.tracks} == set(slow.tracks)
        seen |= set(ids)
    assert {NONE, SUPPRESSED} <= seen and len(seen) > 8, "the sequence shows every case"


def crowd(seed: int) -> list[tuple[Floats, Floats, NDArray[np.int64], Floats]]:
    """Return 14 frames of objects that drift, hide, look alike, lose score and are found twice."""
    random = np.random.default_rng(seed)
    start, looks = random.uniform(0, 400, (10, 2)), random.normal(size=(6, 12)) * 1.5
    kind, label = random.integers(0, 6, 10), random.integers(0, 3, 10)
    frames = []
    for frame in range(14):
        rows = np.flatnonzero(random.random(10) < 0.75)
        rows = np.concatenate([rows, rows[random.random(len(rows)) < 0.3]])
        corner = start[rows] + 4 * frame + random.normal(size=(len(rows), 2)) * 3
        boxes = f32(np.concatenate([corner, corner + 60], 1))
        scores = f32(random.uniform(0.15, 1.0, len(rows)))
        embeds = f32(looks[kind[rows]] + random.normal(size=(len(rows), 12)) * 0.3)
        frames.append((boxes, scores, label[rows], embeds))
    return frames
