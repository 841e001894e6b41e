"""Augmented pairs: deterministic, tight boxes, shared ids, ignored stays ignored."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from support.clips import DrawnClip

from pcan_model.core.config import CLASSES
from pcan_model.data.augment import (
    PLAIN,
    AugmentConfig,
    View,
    draw_view,
    ignore_remains,
    object_boxes,
    warp,
    warp_boxes,
)
from pcan_model.data.clips import IGNORE, FlatFrame, LabeledFrame
from pcan_model.data.colour import ColourChange
from pcan_model.data.copy_paste import PASTED_ID, CutOut, CutOutBank, Placement, cut_objects, paste
from pcan_model.data.pairs import PairDataset, Sample, _sample
from pcan_model.synthetic.drive import SyntheticDrive

SIZE = {"height": 96, "width": 160}


@dataclass
class Still(DrawnClip):
    """A clip of equal frames, for tests."""

    drawn: list[LabeledFrame]
    name: str = "still"

    def __len__(self) -> int:
        return len(self.drawn)

    def draw(self, index: int) -> LabeledFrame:
        return self.drawn[index]


@pytest.fixture(scope="module")
def drives() -> list[SyntheticDrive]:
    return [SyntheticDrive(seed, 4, 128, 224) for seed in range(4)]


@pytest.fixture(scope="module")
def samples(drives: list[SyntheticDrive]) -> list[tuple[Sample, Sample]]:
    dataset = PairDataset(drives, **SIZE, seed=1, length=25)
    return [dataset[i] for i in range(25)]


def flat(labels: int, index: NDArray[np.generic]) -> FlatFrame:
    image = np.full((*index.shape, 3), 50, np.uint8)
    return FlatFrame(image, index.astype(np.int16), np.zeros(labels, np.int64), np.arange(labels))


def test_a_pair_depends_on_seed_and_index_alone(drives: list[SyntheticDrive]) -> None:
    a, b = (PairDataset(drives, **SIZE, seed=3) for _ in range(2))
    b[0]
    for one, other in zip(a[7], b[7], strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.ids, other.ids)
    assert not np.array_equal(a[7][0].image, a[8][0].image)


def test_boxes_are_tight_around_masks(samples: list[tuple[Sample, Sample]]) -> None:
    for sample in (s for pair in samples for s in pair):
        for box, mask in zip(sample.boxes, sample.masks, strict=True):
            y, x = np.nonzero(mask)
            assert box.tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]


def test_masks_never_overlap_each_other_or_ignore(samples: list[tuple[Sample, Sample]]) -> None:
    for sample in (s for pair in samples for s in pair):
        assert (sample.masks.sum(0) + sample.ignore).max() <= 1


def test_a_pair_shares_ids_of_equal_class(samples: list[tuple[Sample, Sample]]) -> None:
    shared = pasted = 0
    for key, reference in samples:
        classes = dict(zip(key.ids.tolist(), key.labels.tolist(), strict=True))
        both = [i for i in reference.ids.tolist() if i in classes]
        for i, label in zip(reference.ids.tolist(), reference.labels.tolist(), strict=True):
            assert classes.get(i, label) == label
        shared += len(both)
        pasted += sum(i >= PASTED_ID for i in both)
    assert shared > 2 * len(samples)
    assert pasted > 0


def test_shapes_and_types_are_what_training_expects(samples: list[tuple[Sample, Sample]]) -> None:
    for sample in (s for pair in samples for s in pair):
        assert sample.image.shape == (96, 160, 3)
        assert sample.image.dtype == np.uint8
        assert sample.boxes.dtype == np.float32
        assert sample.masks.shape == (len(sample.ids), 96, 160)


def test_an_empty_frame_makes_a_pair_without_objects() -> None:
    empty = LabeledFrame(
        np.zeros((50, 80, 3), np.uint8), np.zeros((0, 50, 80), bool), np.zeros(0, np.int64),
        np.zeros(0, np.int64), np.zeros((50, 80), bool),
    )  # fmt: skip
    key, reference = PairDataset([Still([empty])], **SIZE, seed=0)[0]
    assert key.masks.shape == reference.masks.shape == (0, 96, 160)
    assert key.boxes.shape == (0, 4)


def test_ignored_never_becomes_an_object(drives: list[SyntheticDrive]) -> None:
    frame = drives[0].frame(0)
    none = np.zeros((0, *frame.ignore.shape), bool)
    blind = LabeledFrame(frame.image, none, frame.labels[:0], frame.ids[:0], frame.masks.any(0))
    dataset = PairDataset([Still([blind])], **SIZE, seed=0, length=5)
    assert all(len(s.ids) == 0 for i in range(5) for s in dataset[i])
    assert any(s.ignore.any() for i in range(5) for s in dataset[i])


def test_weights_choose_the_clips(drives: list[SyntheticDrive]) -> None:
    dark = LabeledFrame(
        np.zeros((96, 160, 3), np.uint8), np.zeros((0, 96, 160), bool), np.zeros(0, np.int64),
        np.zeros(0, np.int64), np.zeros((96, 160), bool),
    )  # fmt: skip
    dataset = PairDataset([Still([dark]), drives[0]], **SIZE, seed=0, augment=PLAIN, weights=[1, 0])
    assert all(dataset[i][0].image.max() == 0 for i in range(4))
    with pytest.raises(ValueError, match="expected 2 weights"):
        PairDataset([Still([dark]), drives[0]], **SIZE, seed=0, weights=[1])


def test_a_plain_pair_is_the_image_itself() -> None:
    frame = SyntheticDrive(0, 1, 96, 160).frame(0)
    key, _ = PairDataset([Still([frame])], **SIZE, seed=0, augment=PLAIN)[0]
    np.testing.assert_array_equal(key.masks, frame.masks)
    assert np.abs(key.image.astype(int) - frame.image).mean() < 1


@pytest.mark.parametrize(("kept", "is_object"), [(0.5, True), (0.1, False)])
def test_objects_cut_below_a_fifth_become_ignore(kept: float, is_object: bool) -> None:
    index = np.zeros((40, 100))
    index[10:30, 20:40] = 1
    view = View(scale=1, stretch=1, angle=0, shear=0, flip=False, aim_x=40, aim_y=0, at_x=20 * kept, at_y=0)
    out = warp(flat(1, index), view, 40, 100, visible_min=0.2)
    assert bool(out.areas()[0]) == is_object
    assert bool((out.index == IGNORE).any()) != is_object


@pytest.mark.parametrize("height", [60, 61])
@pytest.mark.parametrize("width", [100, 101])
def test_a_mirrored_image_is_the_image_read_backwards(height: int, width: int) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    index = rng.integers(-1, 3, (height, width)).astype(np.int16)
    boxes = np.array([[3, 4, 20, 30], [np.nan] * 4], np.float32)
    frame = FlatFrame(image, index, np.zeros(2, np.int64), np.arange(2), boxes)
    view = draw_view(frame, height, width, replace(PLAIN, flip=1, aim=0), rng)
    out = warp(frame, view, height, width, visible_min=0)
    assert np.array_equal(out.image, image[:, ::-1]) and np.array_equal(out.index, index[:, ::-1])
    assert out.boxes[0].tolist() == [width - 20, 4, width - 3, 30]


def test_a_shrunk_image_lies_where_its_masks_do() -> None:
    """A white square in black, a quarter as large: what is bright and what is marked have one middle."""
    index = np.zeros((80, 160), np.int16)
    index[21:49, 37:93] = 1
    white = np.where(index > 0, 255, 0).astype(np.uint8)
    frame = replace(flat(1, index), image=np.repeat(white[..., None], 3, 2))
    view = View(0.25, stretch=1, angle=0, shear=0, flip=False, aim_x=0, aim_y=0, at_x=0, at_y=0)
    out = warp(frame, view, 20, 40, visible_min=0)
    rows, columns = np.indices((20, 40)) + 0.5
    middle = [np.average(places, weights=out.image[..., 0]) for places in (columns, rows)]
    np.testing.assert_allclose(middle, [65 / 4, 35 / 4], atol=0.01)
    assert object_boxes(out.index, 1).tolist() == [[9, 5, 23, 12]]


def test_mirroring_keeps_boxes_tight() -> None:
    index = np.zeros((40, 100))
    index[10:30, 20:40] = 1
    view = View(scale=1, stretch=1, angle=0, shear=0, flip=True, aim_x=50, aim_y=0, at_x=50, at_y=0)
    out = warp(flat(1, index), view, 40, 100, visible_min=0.2)
    assert object_boxes(out.index, 1).tolist() == [[60, 10, 80, 30]]


def boxed_pair() -> FlatFrame:
    """Two objects known by boxes that overlap, the smaller painted over the larger, and one with a mask."""
    index = np.zeros((40, 100))
    index[5:35, 10:50] = 1
    index[10:30, 40:60] = 2
    index[10:30, 70:80] = 3
    boxes = np.array([[10, 5, 50, 35], [40.25, 10, 60, 30], [np.nan] * 4], np.float32)
    return replace(flat(3, index), boxes=boxes)


@pytest.mark.parametrize(
    ("flip", "scale", "expected"),
    [
        (False, 1, [[10, 5, 50, 35], [40.25, 10, 60, 30]]),
        (True, 1, [[50, 5, 90, 35], [40, 10, 59.75, 30]]),
        (False, 2, [[0, 0.5, 50.5, 60], [31, 10.5, 70.5, 50.5]]),
    ],
)
def test_a_box_alone_is_warped_whole_and_has_no_mask(
    flip: bool, scale: float, expected: list[list[float]]
) -> None:
    aim = (50, 0, 50, 0) if scale == 1 else (35, 15, 20.5, 20.5)
    view = View(
        scale, stretch=1, angle=0, shear=0, flip=flip, aim_x=aim[0], aim_y=aim[1], at_x=aim[2], at_y=aim[3]
    )
    out = _sample(
        warp(boxed_pair(), view, 60, 100, visible_min=0.2), ColourChange(), np.random.default_rng(0)
    )
    np.testing.assert_allclose(out.boxes[:2], expected, atol=1e-5)
    assert not out.masks[:2].any() and not out.ignore.any()
    assert len(out.ids) == 3 and out.masks[2].any()


def test_a_turned_box_is_the_one_around_its_corners() -> None:
    square = np.array([[10, 10, 20, 20], [np.nan] * 4], np.float32)
    view = View(1, stretch=1, angle=np.pi / 4, shear=0, flip=False, aim_x=15, aim_y=15, at_x=50, at_y=30)
    out = warp_boxes(square, view.matrix(), 60, 100)
    half = 5 * 2**0.5
    np.testing.assert_allclose(out[0], [50 - half, 30 - half, 50 + half, 30 + half], rtol=1e-6)
    assert np.isnan(out[1]).all()


def test_a_box_cut_too_far_or_hidden_too_far_becomes_ignore() -> None:
    view = View(1, stretch=1, angle=0, shear=0, flip=False, aim_x=46, aim_y=0, at_x=0, at_y=0)
    cut = warp(boxed_pair(), view, 40, 100, visible_min=0.2)
    assert cut.areas().tolist() == [0, 14 * 20, 200] and (cut.index == IGNORE).sum() == 4 * 10
    frame = replace(boxed_pair(), index=np.where(boxed_pair().index == 2, 2, 0).astype(np.int16))
    bar = CutOut(np.zeros((40, 18, 3), np.uint8), np.ones((40, 18), np.int16), np.array([3]), 1.0)
    place = Placement(foot_x=49, foot_y=40, height=40, flip=False, colour_change=ColourChange())
    out = paste(frame, [bar], [place], config=AugmentConfig(), rng=np.random.default_rng(0))
    assert out.areas().tolist() == [0, 0, 0, 18 * 40] and out.boxed.tolist() == [True, True, False, False]


def test_a_box_thinner_than_a_pixel_is_that_of_its_pixels() -> None:
    frame = boxed_pair()
    frame.boxes[1] = 40, 10, 40.2, 30
    out = _sample(frame, ColourChange(), np.random.default_rng(0))
    assert out.boxes[1].tolist() == [40, 10, 60, 30] and not out.masks[1].any()


def test_what_has_no_outline_is_never_cut_out() -> None:
    cuts = cut_objects(boxed_pair(), (40, 100), height_min=10, names=CLASSES)
    assert [cut.index.max() for cut in cuts] == [1] and cuts[0].index.shape == (22, 12)


def paste_bar(width: int, config: AugmentConfig) -> FlatFrame:
    """Lay a bar of `width` columns over the left of an object 20 wide."""
    index = np.zeros((40, 100))
    index[10:30, 20:40] = 1
    bar = CutOut(np.full((40, width, 3), 200, np.uint8), np.ones((40, width), np.int16), np.array([3]), 1.0)
    place = Placement(foot_x=20 + width / 2, foot_y=40, height=40, flip=False, colour_change=ColourChange())
    return paste(flat(1, index), [bar], [place], config=config, rng=np.random.default_rng(0))


def test_pasted_objects_hide_what_is_behind() -> None:
    out = paste_bar(10, AugmentConfig())
    assert out.areas().tolist() == [200, 400]
    assert out.labels.tolist() == [0, 3]


def test_objects_hidden_too_far_become_ignore() -> None:
    out = paste_bar(17, AugmentConfig())
    assert out.areas().tolist() == [0, 17 * 40]
    assert (out.index == IGNORE).sum() == 3 * 20


def test_specks_become_ignore() -> None:
    index = np.zeros((8, 8), np.int16)
    index[0, :3] = 1
    ignore_remains(index, np.array([3.0]), 0.2, area_min=16)
    assert index[0].tolist() == [IGNORE] * 3 + [0] * 5


def test_a_rider_is_cut_out_with_the_bicycle_below() -> None:
    index = np.zeros((80, 80))
    index[10:50, 30:50] = 1
    index[40:70, 20:60] = 2
    frame = replace(flat(2, index), labels=np.array([1, 7]))
    (cut,) = cut_objects(frame, (80, 80), height_min=20, names=CLASSES)
    assert cut.labels.tolist() == [1, 7]
    assert sorted(np.unique(cut.index)) == [0, 1, 2]
    apart = cut_objects(frame, (80, 80), height_min=20, names=("dog", "cat", *CLASSES[2:]))
    assert [cut.labels.tolist() for cut in apart] == [[1], [7]], "numbers alone say nothing"


def test_an_impossible_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 < min <= max"):
        AugmentConfig(scale_min=2, scale_max=1)


def test_cut_outs_are_drawn_by_the_chances_of_their_classes(drives: list[SyntheticDrive]) -> None:
    rng, even = np.random.default_rng(0), np.full(len(drives), 1 / len(drives))
    bank = CutOutBank(drives, even, height=96, width=160, height_min=4, names=CLASSES, rng=rng)

    def drawn(shares: dict[str, float]) -> set[str]:
        return {CLASSES[int(bank.draw(shares, rng).labels[0])] for _ in range(200)}

    everyone = drawn({})
    assert len(everyone) > 1
    wanted, nobody = max(everyone), next(name for name in CLASSES if name not in everyone)
    assert drawn({name: float(name == wanted) for name in CLASSES}) == {wanted}
    assert drawn({name: float(name == nobody) for name in CLASSES}) <= everyone
