"""Anchors, the box coder, overlaps and the static suppression."""

from __future__ import annotations

import math

import pytest
import torch
from support.parity import recorded
from torch import Tensor
from torchvision.ops import batched_nms, box_iou, nms

from pcan_model.model.boxes import clip, decode, encode, grid_anchors, overlaps, suppress

FAR = (10**6, 10**6)  # an image that cuts nothing
RATIOS = (0.5, 1.0, 2.0)


def boxes(count: int, seed: int = 0, spread: float = 100) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=g) * spread
    return torch.cat([corner, corner + 5 + 40 * torch.rand(count, 2, generator=g)], 1)


def test_anchors_by_hand() -> None:
    anchors = grid_anchors(2, 3, 4, 8.0, RATIOS)
    assert anchors.shape == (2 * 3 * 3, 4)
    wide, tall = 32 * math.sqrt(2), 32 / math.sqrt(2)  # ratio = height / width
    x, y = 2 * 4, 1 * 4  # row 1, column 2
    expected = [
        [x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2],
        [x - 16, y - 16, x + 16, y + 16],
        [x - tall / 2, y - wide / 2, x + tall / 2, y + wide / 2],
    ]
    torch.testing.assert_close(anchors[3 * (1 * 3 + 2) :][:3], torch.tensor(expected))


def test_anchors_are_the_released_ones() -> None:
    arrays = recorded("blocks")
    for level, (height, width) in enumerate(((3, 4), (2, 3), (1, 2), (1, 1), (1, 1))):
        ours = grid_anchors(height, width, 4 * 2**level, 8.0, RATIOS)
        torch.testing.assert_close(ours, arrays[f"grid_anchors{level}"])
        torch.testing.assert_close(ours[:3], arrays[f"base_anchors{level}"])


def test_the_coder_is_the_released_one() -> None:
    arrays, pixels = recorded("blocks"), (180, 300)
    base = arrays["dec_base"]
    per_class = decode(arrays["dec_delta"].unflatten(1, (8, 4)), base[:, None], (0.1, 0.2), pixels)
    torch.testing.assert_close(per_class.flatten(1), arrays["dec_out_cls"], atol=1e-4, rtol=0)
    proposals = decode(arrays["dec_delta4"], base, (1.0, 1.0), pixels)
    torch.testing.assert_close(proposals, arrays["dec_out_rpn"], atol=1e-4, rtol=0)
    torch.testing.assert_close(
        encode(arrays["enc_gt"], base, (0.1, 0.2)), arrays["enc_out"], atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("std", [(1.0, 1.0), (0.1, 0.2)])
def test_what_is_encoded_is_decoded_again(std: tuple[float, float]) -> None:
    truth, references = boxes(50), boxes(50, seed=1)
    back = decode(encode(truth, references, std), references, std, FAR)
    torch.testing.assert_close(back, truth, atol=1e-3, rtol=0)


def test_offsets_by_hand() -> None:
    reference = torch.tensor([10.0, 20.0, 30.0, 60.0])  # centre 20 40, size 20 40
    truth = torch.tensor([15.0, 20.0, 35.0, 100.0])  # centre 25 60, size 20 80
    offsets = encode(truth, reference, (0.1, 0.2))
    expected = [5 / 20 / 0.1, 20 / 40 / 0.1, 0, math.log(2) / 0.2]
    torch.testing.assert_close(offsets, torch.tensor(expected))


def test_wild_offsets_stay_finite_and_inside_the_image() -> None:
    wild = torch.tensor([[1e6, -1e6, 1e6, 1e6], [0, 0, -1e6, 1e6]])
    out = decode(wild, boxes(2), (1.0, 1.0), (50, 70))
    assert out.isfinite().all()
    assert (out[:, 0::2] <= 70).all() and (out[:, 1::2] <= 50).all() and (out >= 0).all()


def test_clipping_by_hand() -> None:
    torch.testing.assert_close(
        clip(torch.tensor([-5.0, 3.0, 80.0, 90.0]), (50, 70)), torch.tensor([0.0, 3.0, 70.0, 50.0])
    )


def test_overlaps_are_torchvisions() -> None:
    torch.testing.assert_close(overlaps(boxes(30), boxes(20, seed=1)), box_iou(boxes(30), boxes(20, seed=1)))


def test_an_empty_box_overlaps_nothing() -> None:
    nothing = torch.tensor([[5.0, 5.0, 5.0, 5.0]])
    assert overlaps(nothing, nothing).item() == 0
    assert overlaps(boxes(0), boxes(3)).shape == (0, 3)


def kept(candidates: Tensor, groups: Tensor, iou: float, steps: int) -> tuple[list[int], bool]:
    keep, settled = suppress(candidates[None], groups[None], iou, steps)
    return keep[0].nonzero()[:, 0].tolist(), bool(settled)


@pytest.mark.parametrize("seed", range(5))
def test_a_converged_suppression_is_the_greedy_one(seed: int) -> None:
    falling = torch.linspace(1, 0, 200)
    candidates = boxes(200, seed)
    one_group, settled = kept(candidates, torch.zeros(200), 0.5, 30)
    assert settled and one_group == nms(candidates, falling, 0.5).tolist()
    groups = torch.arange(200) % 3
    several, settled = kept(candidates, groups, 0.5, 30)
    assert settled and several == batched_nms(candidates, falling, groups, 0.5).tolist()


def test_suppression_is_the_released_one() -> None:
    arrays = recorded("blocks")
    order = arrays["nms_scores"].argsort(descending=True)
    rows, settled = kept(arrays["nms_boxes"][order], arrays["nms_ids"][order], 0.5, 12)
    assert settled and order[rows].tolist() == arrays["nms_keep"].tolist()


def chain(length: int) -> Tensor:
    """Return boxes each of which overlaps only its neighbours."""
    x = torch.arange(length) * 6.0
    return torch.stack([x, torch.zeros(length), x + 10, torch.full((length,), 10.0)], 1)


def test_a_chain_longer_than_the_steps_is_reported_as_not_converged() -> None:
    candidates, groups = chain(9), torch.zeros(9)
    exact = list(range(0, 9, 2))  # every other box falls
    assert kept(candidates, groups, 0.2, 9) == (exact, True)
    rows, settled = kept(candidates, groups, 0.2, 3)
    assert not settled and rows != exact


def test_images_of_a_batch_are_suppressed_separately() -> None:
    batch, groups = torch.stack([chain(4), boxes(4)]), torch.zeros(2, 4)
    keep, _ = suppress(batch, groups, 0.2, 9)
    assert keep[0].tolist() == [1, 0, 1, 0]
    assert keep[1].nonzero()[:, 0].tolist() == kept(boxes(4), groups[1], 0.2, 9)[0]
