"""SipMask's own tracker: a video in, tracks out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.sipmask import small_sipmask

torch = pytest.importorskip("torch")

from pcan_model.core.structures import Frame, TrackState  # noqa: E402
from pcan_model.sipmask.tracker import SipMaskTracker  # noqa: E402


def tracker(*, overlap: bool = False, score: float = 0.03) -> SipMaskTracker:
    net = small_sipmask(input={"fit": "resize", "height": 96, "width": 160}, heads={"score_threshold": score})
    for layer in (net.head.classes, net.head.coefficients, net.head.track):
        torch.nn.init.normal_(layer.weight, std=0.2)
    torch.nn.init.constant_(net.head.classes.bias, -1.0)
    return SipMaskTracker(net, overlap=overlap)


def frames(count: int = 3) -> list[Frame]:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 10, 3), dtype=np.uint8)
    image = coarse.repeat(20, 0).repeat(20, 1)
    return [Frame(np.ascontiguousarray(np.roll(image, 2 * i, 1)), i / 10) for i in range(count)]


def test_objects_keep_their_ids_through_a_video_and_the_old_state_stays() -> None:
    follow = tracker()
    first = follow.start()
    state, tracks = follow.step(first, frames()[0])
    assert [i.track_id for i in tracks.instances] == list(range(1, 11))
    assert all(i.state is TrackState.NEW and not i.velocity.any() for i in tracks.instances)
    for frame in frames()[1:]:
        state, tracks = follow.step(state, frame)
    again = [i for i in tracks.instances if i.state is TrackState.TRACKED]
    assert len(again) > 3 and all(i.age == 2 for i in again if i.track_id <= 10)
    assert (tracks.height, tracks.width, tracks.frame_index) == (120, 200, 2)
    assert first.memory is None and first.frame_index == 0 and not first.lives


def test_masks_lie_in_their_boxes_and_overlap_only_when_asked_to() -> None:
    for overlap in (False, True):
        follow = tracker(overlap=overlap)
        _, tracks = follow.step(follow.start(), frames()[0])
        whole = np.array([i.mask.full(120, 200) for i in tracks.instances])
        assert whole.any((1, 2)).sum() > 3
        assert (whole.sum(0).max() > 1) == overlap
        for instance, mask in zip(tracks.instances, whole, strict=True):
            rows, columns = mask.nonzero()
            if len(rows):
                x1, y1, x2, y2 = instance.box
                assert x1 - 3 <= columns.min() and columns.max() <= x2 + 3
                assert y1 - 3 <= rows.min() and rows.max() <= y2 + 3


def test_channels_may_come_in_either_order() -> None:
    follow, frame = tracker(), frames()[0]
    _, rgb = follow.step(follow.start(), frame)
    turned = replace(frame, image=np.ascontiguousarray(frame.image[..., ::-1]), order="bgr")
    _, bgr = follow.step(follow.start(), turned)
    for a, b in zip(rgb.instances, bgr.instances, strict=True):
        np.testing.assert_array_equal(a.box, b.box)


def test_a_frame_without_detections_has_no_tracks_and_forgets_nothing() -> None:
    seen, blind = tracker(), tracker(score=1.0)
    state, _ = seen.step(seen.start(), frames()[0])
    after, tracks = blind.step(state, frames()[1])
    assert tracks.instances == () and after.memory is state.memory
    state, tracks = blind.step(blind.start(), frames()[0])
    assert tracks.instances == () and state.memory is None


def test_it_stands_where_the_other_tracker_stands_in_evaluation() -> None:
    from pcan_model.tracking.tracker import Stopwatch

    follow, stopwatch = tracker(), Stopwatch()
    follow.step(follow.start(), frames()[0], stopwatch)
    assert stopwatch.timings.network > 0 and stopwatch.timings.masks > 0
