"""The shared nouns: checked where they are made."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from uuid import UUID

import numpy as np
import pytest

from pcan_model.core.structures import EMPTY_MASK, Detections, Frame, Mask, Slots, State, TrackState


def detections(n: int, **changed: int) -> Detections:
    size = {"boxes": n, "scores": n, "labels": n, "embeds": n, "rows": n} | changed
    return Detections(
        np.arange(4 * size["boxes"], dtype=np.float32).reshape(-1, 4),
        np.linspace(1, 0, size["scores"], dtype=np.float32),
        np.zeros(size["labels"], np.int64),
        np.zeros((size["embeds"], 3), np.float32),
        np.arange(size["rows"]),
    )


def test_a_record_whose_fields_disagree_is_refused_and_says_how() -> None:
    with pytest.raises(ValueError, match=r"Detections: .*'boxes': 2, .*'rows': 3"):
        detections(2, rows=3)
    flags, rows = np.zeros(3, np.float32), np.zeros(3, np.int64)
    with pytest.raises(ValueError, match=r"Slots: .*'slot': 3, 'fresh': 2"):
        Slots(rows, flags[:2], rows, flags)
    Slots(rows, flags, rows[:1], flags[:1])  # detections and tracks may differ in number


def test_detections_are_taken_by_index_or_mask_in_the_order_asked() -> None:
    found = detections(3)
    assert found.take(np.array([2, 0])).rows.tolist() == [2, 0]
    assert found.take(np.array([False, True, False])).boxes.tolist() == [[4, 5, 6, 7]]
    assert len(found.take(np.zeros(3, bool))) == 0 and len(detections(0)) == 0


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 5), np.uint8),
        np.zeros((4, 5, 3)),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((4, 5, 4), np.uint8),
    ],
    ids=["grey", "float", "empty", "four channels"],
)
def test_a_frame_is_an_rgb_image_of_bytes(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"Frame: image: expected \(H, W, 3\) uint8"):
        Frame(image, 0.0)


def test_nothing_can_be_changed_afterwards() -> None:
    with pytest.raises(FrozenInstanceError):
        Frame(np.zeros((4, 5, 3), np.uint8), 0.0).stamp = 1.0  # type: ignore[misc]


def test_a_mask_lies_where_its_crop_says() -> None:
    mask = Mask(2, 1, np.array([[1, 0], [1, 1]], np.uint8))
    assert mask.area == 3
    assert mask.full(4, 5).nonzero()[0].tolist() == [1, 2, 2]
    assert mask.full(4, 5).nonzero()[1].tolist() == [2, 2, 3]
    assert EMPTY_MASK.area == 0 and EMPTY_MASK.full(4, 5).sum() == 0


def test_a_new_state_has_seen_nothing() -> None:
    state = State(memory=None, session=UUID(int=1))
    assert (state.tracks, state.unmatched, state.next_id, state.frame_index) == ((), (), 1, 0)


def test_the_states_of_a_track_are_numbered_as_in_the_messages() -> None:
    assert [int(s) for s in TrackState] == [0, 1, 2, 3]
    assert [s.name for s in TrackState] == ["NEW", "TRACKED", "LOST", "REMOVED"]
