"""Which candidates stand for which object."""

from __future__ import annotations

import pytest
import torch
from support.parity import recorded
from torch import Tensor

from pcan_model.training.targets import (
    BACKGROUND,
    UNUSED,
    GroundTruth,
    ignored_share,
    mask_targets,
    match,
    sample,
)

HEIGHT, WIDTH = 60, 80


def target(*boxes: list[float], ignore: tuple[slice, slice] | None = None) -> GroundTruth:
    hidden = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    if ignore:
        hidden[ignore] = True
    masks = torch.zeros(len(boxes), HEIGHT, WIDTH, dtype=torch.bool)
    n = len(boxes)
    return GroundTruth(
        torch.tensor(boxes).reshape(n, 4), torch.zeros(n).long(), torch.arange(n), masks, hidden
    )


def shifted(*shifts: float) -> Tensor:
    """Return boxes of side 10 whose overlap with [0, 0, 10, 10] is (10 - s) / (10 + s)."""
    return torch.tensor([[s, 0, s + 10, 10] for s in shifts])


ONE = [0.0, 0.0, 10.0, 10.0]


def test_overlap_decides_between_object_unused_and_background() -> None:
    found = match(shifted(0, 1, 3, 6), target(ONE), high=0.7, low=0.3, rescue=False)
    assert found.tolist() == [0, 0, UNUSED, BACKGROUND]  # overlaps 1, 9/11, 7/13, 4/16


def test_thresholds_may_meet() -> None:
    found = match(shifted(0, 3, 4), target(ONE), high=0.5, low=0.5, rescue=False)
    assert found.tolist() == [0, 0, BACKGROUND]  # overlaps 1, 7/13, 6/14


def test_an_object_nobody_reaches_gets_its_best_candidates() -> None:
    candidates = shifted(3, 4, 3)
    assert match(candidates, target(ONE), high=0.7, low=0.3, rescue=False).tolist() == [UNUSED] * 3
    assert match(candidates, target(ONE), high=0.7, low=0.3, rescue=True).tolist() == [0, UNUSED, 0]


def test_a_rescued_object_takes_the_candidate_from_a_better_match() -> None:
    other = [4.0, 0.0, 14.0, 10.0]
    found = match(shifted(0), target(ONE, other), high=0.7, low=0.3, rescue=True)
    assert found.tolist() == [1]  # 10/10 with the first, 6/14 with the second, which has nobody else


def test_an_object_far_from_every_candidate_rescues_none() -> None:
    candidates = shifted(3, 6)
    far = [50.0, 40.0, 60.0, 50.0]
    assert match(candidates, target(far), high=0.7, low=0.3, rescue=True).tolist() == [BACKGROUND] * 2
    both = match(candidates, target(ONE, far), high=0.7, low=0.3, rescue=True)
    assert both.tolist() == [0, BACKGROUND]


def test_each_candidate_takes_the_object_it_overlaps_most() -> None:
    found = match(shifted(0, 2), target(ONE, [2.0, 0.0, 12.0, 10.0]), high=0.5, low=0.3, rescue=False)
    assert found.tolist() == [0, 1]


def test_background_in_an_ignore_region_is_unused_and_objects_stay() -> None:
    shown = target(ONE, ignore=(slice(0, 60), slice(0, 30)))
    candidates = torch.tensor([[0.0, 0, 10, 10], [12.0, 20, 22, 30], [26.0, 20, 36, 30], [50.0, 20, 60, 30]])
    found = match(candidates, shown, high=0.7, low=0.3, rescue=False)
    assert found.tolist() == [0, UNUSED, BACKGROUND, BACKGROUND]  # 1, 1, 4/10 and 0 of them hidden


def test_an_image_without_objects_is_background() -> None:
    assert match(shifted(0, 50), target(), high=0.7, low=0.3, rescue=True).tolist() == [BACKGROUND] * 2


def test_the_ignored_share_is_a_count_of_pixels() -> None:
    g = torch.Generator().manual_seed(0)
    hidden = torch.rand(HEIGHT, WIDTH, generator=g) < 0.3
    corner = torch.randint(-10, 50, (40, 2), generator=g)
    boxes = torch.cat([corner, corner + torch.randint(1, 30, (40, 2), generator=g)], 1).float()
    for box, share in zip(boxes, ignored_share(boxes, hidden), strict=True):
        x1, y1, x2, y2 = box.long().clamp_min(0).tolist()
        area = float((box[2] - box[0]) * (box[3] - box[1]))
        assert float(share) == pytest.approx(float(hidden[y1:y2, x1:x2].sum()) / area)


@pytest.mark.parametrize(
    ("objects", "background", "expected"),
    [(50, 100, (16, 48)), (3, 100, (3, 61)), (50, 10, (16, 10)), (0, 5, (0, 5)), (4, 0, (4, 0))],
)
def test_a_sample_has_its_share_of_objects_and_background_for_the_rest(
    objects: int, background: int, expected: tuple[int, int]
) -> None:
    found = torch.tensor([0] * objects + [BACKGROUND] * background + [UNUSED] * 20)
    found = found[torch.randperm(len(found), generator=torch.Generator().manual_seed(0))]
    chosen, others = sample(found, 64, 0.25)
    assert (len(chosen), len(others)) == expected
    assert (found[chosen] == 0).all() and (found[others] == BACKGROUND).all()
    assert len(set(chosen.tolist() + others.tolist())) == sum(expected)


def test_the_mask_of_a_region_that_fits_its_object_is_full() -> None:
    masks = torch.zeros(2, HEIGHT, WIDTH, dtype=torch.bool)
    masks[0, 10:40, 20:50] = True
    boxes = torch.tensor([[20.0, 10, 50, 40], [20.0, 10, 80, 40], [20.0, 10, 50, 40]])
    targets = mask_targets(masks, boxes, torch.tensor([0, 0, 1]), 28)
    assert targets[0].min() == 1
    assert targets[1, :, :14].min() == 1 and targets[1, :, 14:].max() == 0
    assert targets[2].max() == 0


def test_mask_targets_are_the_released_ones() -> None:
    arrays = recorded("blocks")
    ours = mask_targets(arrays["mt_gt"].bool(), arrays["mt_boxes"], arrays["mt_inds"], 28)
    assert torch.equal(ours, arrays["mt_target"])


def test_no_regions_give_no_targets() -> None:
    masks = torch.zeros(0, HEIGHT, WIDTH, dtype=torch.bool)
    assert mask_targets(masks, torch.zeros(0, 4), torch.zeros(0).long(), 28).shape == (0, 28, 28)
