"""Drawn tracks: colours stay, pixels sit where the mask is, labels keep apart."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import numpy as np

from pcan_model.core.structures import EMPTY_MASK, FrameKind, Mask, TrackedInstance, Tracks, TrackState
from pcan_model.visualization.overlay import colour, contact_sheet, draw, ink, tile

GREY = np.full((120, 160, 3), 90, np.uint8)


def instance(track_id: int, x: int, y: int, mask: Mask) -> TrackedInstance:
    box = np.array([x, y, x + 30, y + 20], np.float32)
    still = np.zeros(2, np.float32)
    return TrackedInstance(track_id, UUID(int=track_id), TrackState.TRACKED, 1, 0, 0, 0.87, box, still, mask)


def tracks(*instances: TrackedInstance) -> Tracks:
    return Tracks(0.0, 120, 160, 0, instances)


def test_neighbouring_ids_have_clearly_different_colours() -> None:
    first = np.array([colour(i) for i in range(1, 200)], int)
    assert np.abs(first[1:] - first[:-1]).max(axis=1).min() > 60


def test_a_mask_is_tinted_where_it_is_and_nowhere_else() -> None:
    mask = Mask(50, 60, np.ones((20, 30), np.uint8))
    drawn = draw(GREY, tracks(instance(1, 50, 60, mask)), ("car",))
    changed = (drawn != GREY).any(axis=2)
    assert changed[60:80, 50:80].all()
    assert not changed[84:].any() and not changed[:30].any()
    assert (GREY == 90).all(), "the image itself is left alone"


def test_without_tracks_an_image_stays_as_it_is() -> None:
    assert np.array_equal(draw(GREY, tracks(), ()), GREY)


def test_a_propagated_frame_is_marked_in_its_upper_left_corner() -> None:
    drawn = draw(GREY, replace(tracks(), kind=FrameKind.PROPAGATED), ())
    changed = (drawn != GREY).any(axis=2)
    assert changed[:5, :5].all() and not changed[40:].any()


def test_objects_at_the_edges_and_without_masks_are_drawn() -> None:
    corner = instance(1, -10, -10, EMPTY_MASK)
    other = instance(2, 150, 110, EMPTY_MASK)
    assert (draw(GREY, tracks(corner, other), ("car",)) != GREY).any()


def test_ink_is_legible_on_every_colour() -> None:
    assert ink((255, 255, 255)) == (0, 0, 0)
    assert ink((0, 0, 120)) == (255, 255, 255)


def test_a_sheet_holds_every_image() -> None:
    sheet = contact_sheet([tile(i, GREY, 80) for i in range(5)], columns=3)
    assert sheet.shape == (2 * (60 + 4) + 4, 3 * (80 + 4) + 4, 3)
