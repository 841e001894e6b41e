"""The synthetic drive: the same from the same seed, exact masks, ids that last."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pcan_model.core.config import CLASSES
from pcan_model.data.clips import LabeledFrame
from pcan_model.data.datasets.scalabel import read_clips
from pcan_model.synthetic.drive import VISIBLE_MIN, SyntheticDrive, write_drives


@pytest.fixture(scope="module")
def drives() -> list[list[LabeledFrame]]:
    """Three frames each of ten small drives."""
    return [[SyntheticDrive(seed, 3, 128, 224).frame(i) for i in range(3)] for seed in range(10)]


def test_a_seed_gives_the_same_pixels_in_any_order() -> None:
    forward, backward = SyntheticDrive(5, 3, 96, 160), SyntheticDrive(5, 3, 96, 160)
    first = [forward.frame(i) for i in range(3)]
    second = [backward.frame(i) for i in (2, 1, 0)][::-1]
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.masks, b.masks)
        np.testing.assert_array_equal(a.ids, b.ids)


def test_other_seeds_give_other_streets(drives: list[list[LabeledFrame]]) -> None:
    assert len({frames[0].image.tobytes() for frames in drives}) == len(drives)


def test_masks_never_overlap_and_show_enough(drives: list[list[LabeledFrame]]) -> None:
    for frame in (f for frames in drives for f in frames):
        assert len(frame.ids) == 0 or frame.masks.sum(0).max() == 1
        assert (frame.masks.sum((1, 2)) >= VISIBLE_MIN).all()
        assert len(set(frame.ids.tolist())) == len(frame.ids)


def test_an_id_keeps_its_class_and_stays_near(drives: list[list[LabeledFrame]]) -> None:
    shared = 0
    for a, b in ((frames[0], frames[1]) for frames in drives):
        classes = dict(zip(a.ids.tolist(), a.labels.tolist(), strict=True))
        both = [(i, k) for i, k in zip(b.ids.tolist(), b.labels.tolist(), strict=True) if i in classes]
        assert all(classes[i] == k for i, k in both)
        shared += len(both)
    assert shared > 3 * len(drives)


def test_every_class_occurs_within_a_few_drives() -> None:
    seen: set[int] = set()
    for seed in range(40):
        seen |= set(SyntheticDrive(seed, 1, 192, 320).frame(0).labels.tolist())
        if len(seen) == len(CLASSES):
            return
    raise AssertionError(f"never seen: {[CLASSES[k] for k in set(range(len(CLASSES))) - seen]}")


def test_a_drive_saved_is_the_drive_read_again(tmp_path: Path) -> None:
    write_drives(tmp_path, range(3, 4), length=2, height=96, width=160)
    (clip,) = read_clips(tmp_path)
    drive = SyntheticDrive(3, 2, 96, 160)
    for i in range(2):
        np.testing.assert_array_equal(clip.frame(i).masks, drive.frame(i).masks)
        np.testing.assert_array_equal(clip.frame(i).ids, drive.frame(i).ids)


def test_a_frame_beyond_the_drive_is_refused() -> None:
    with pytest.raises(IndexError, match="below 2, got 2"):
        SyntheticDrive(0, 2).frame(2)
