"""Losses beside the sums they stand for."""

from __future__ import annotations

import math

import pytest
import torch
from support.parity import recorded
from torch import Tensor
from torch.nn import functional

from pcan_model.training.losses import (
    Losses,
    cosine_regression,
    dice,
    mask_criterion,
    products,
    quasi_dense,
    smooth_l1,
)


def drawn(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def test_quasi_dense_is_the_double_sum() -> None:
    similarity = drawn(4, 6)
    same = torch.tensor([[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0], [0] * 6, [1] * 6]).bool()
    parts = []
    for k in range(2):  # the third key has no positive, the fourth no negative
        pairs = [
            math.exp(float(similarity[k, n] - similarity[k, p]))
            for n in range(6)
            for p in range(6)
            if same[k, p] and not same[k, n]
        ]
        parts.append(math.log(1 + sum(pairs)))
    assert float(quasi_dense(similarity, same)) == pytest.approx(sum(parts) / 2, rel=1e-5)


@pytest.mark.parametrize("fill", [0, 1])
def test_without_positives_or_negatives_the_loss_is_zero_and_has_a_gradient(fill: int) -> None:
    similarity = drawn(3, 4).requires_grad_()
    loss = quasi_dense(similarity, torch.full((3, 4), fill).bool())
    loss.backward()
    assert loss.item() == 0
    assert similarity.grad is not None and torch.equal(similarity.grad, torch.zeros(3, 4))


def test_keys_without_a_pair_spoil_no_gradient() -> None:
    similarity = drawn(3, 4).requires_grad_()
    same = torch.tensor([[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]).bool()
    quasi_dense(similarity, same).backward()
    assert similarity.grad is not None and similarity.grad.isfinite().all()
    assert similarity.grad[1:].abs().max() == 0 and similarity.grad[0].abs().min() > 0


def test_large_similarities_do_not_overflow() -> None:
    same = torch.tensor([[True, False]])
    assert float(quasi_dense(torch.tensor([[-1e4, 1e4]]), same)) == pytest.approx(2e4)
    assert float(quasi_dense(torch.tensor([[1e4, -1e4]]), same)) == 0


def test_nothing_to_compare_is_no_trouble() -> None:
    assert float(quasi_dense(drawn(0, 5), torch.zeros(0, 5).bool())) == 0
    assert float(cosine_regression(drawn(4, 0), torch.zeros(4, 0).bool())) == 0


def test_cosine_regression_by_hand() -> None:
    cosine = torch.tensor([[0.5, 0.4, 0.9, -0.5, 0.2]])
    same = torch.tensor([[True, False, False, False, False]])
    hardest = 0.1**2 + 0.6**2 + 0  # of 0.4, 0.9 and 0.2 after the margin of 0.3
    assert float(cosine_regression(cosine, same)) == pytest.approx((0.5**2 + hardest) / 4)


def test_few_negatives_are_all_used() -> None:
    cosine, same = torch.tensor([[0.5, 0.7, 0.8]]), torch.tensor([[True, True, False]])
    assert float(cosine_regression(cosine, same)) == pytest.approx((0.5**2 + 0.3**2 + 0.5**2) / 3)


def test_the_contrastive_loss_is_the_released_one() -> None:
    arrays = recorded("losses")
    keys, references = arrays["key_embed"].requires_grad_(), arrays["ref_embed"].requires_grad_()
    loss = 0.25 * quasi_dense(products(keys, references), arrays["target"].bool())
    loss.backward()
    torch.testing.assert_close(loss.detach(), arrays["mpce_loss"])
    torch.testing.assert_close(keys.grad, arrays["mpce_gkey"], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(references.grad, arrays["mpce_gref"], atol=1e-5, rtol=1e-4)


def test_each_key_has_the_released_loss() -> None:
    arrays = recorded("losses")
    similarity = products(arrays["key_embed"], arrays["ref_embed"])
    torch.testing.assert_close(similarity, arrays["dot"], atol=1e-4, rtol=1e-5)
    rows = zip(similarity, arrays["target"].bool(), strict=True)
    each = torch.stack([quasi_dense(row[None], same[None]) for row, same in rows])
    torch.testing.assert_close(each, arrays["mpce_none"])
    assert torch.equal(arrays["weight"] == 0, arrays["mpce_none"] == 0), (
        "keys without a pair count for nothing"
    )


def test_where_the_released_loss_overflows_ours_is_the_number_it_should_be() -> None:
    """It cuts negatives at 80 before raising them, and is infinite or NaN in five of these six rows."""
    arrays = recorded("losses")
    similarity, same, theirs = arrays["big_dist"], arrays["big_target"].bool(), arrays["big_none"]
    for row, own, expected in zip(similarity, same, theirs, strict=True):
        exact = (row.double()[~own, None] - row.double()[None, own]).exp().sum().log1p()
        torch.testing.assert_close(quasi_dense(row[None], own[None]), exact.float())
        if expected.isfinite():
            cut = torch.where(own, row, row.clamp_max(80))
            torch.testing.assert_close(quasi_dense(cut[None], own[None]), expected)
    assert theirs.isfinite().sum() == 1


def cosines(keys: Tensor, references: Tensor) -> Tensor:
    return products(functional.normalize(keys, dim=1), functional.normalize(references, dim=1))


def released_cosines(keys: Tensor, references: Tensor, same: Tensor) -> Tensor:
    """The released loss also cuts positives to [0, 1], which takes the gradient from the worst of them."""
    cosine = cosines(keys, references)
    return torch.where(same, cosine.clamp_min(0), cosine)


@pytest.mark.parametrize("case", ["l2", "l2b"])
def test_the_cosine_regression_is_the_released_one_where_equal_objects_do_not_oppose(case: str) -> None:
    arrays = recorded("losses")
    same = arrays["target" if case == "l2" else "l2b_target"].bool()
    keys, references = arrays["key_embed"].requires_grad_(), arrays["ref_embed"].requires_grad_()
    torch.testing.assert_close(cosines(keys, references).detach(), arrays["cosine"])
    loss = cosine_regression(released_cosines(keys, references, same), same)
    torch.testing.assert_close(loss.detach(), arrays[f"{case}_loss"])
    if case == "l2":
        loss.backward()
        torch.testing.assert_close(keys.grad, arrays["l2_gkey"], atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(references.grad, arrays["l2_gref"], atol=1e-6, rtol=1e-4)


def test_dice_is_the_released_one() -> None:
    arrays = recorded("losses")
    logits = arrays["dice_pred"].requires_grad_()
    loss = dice(logits, arrays["dice_target"])
    loss.backward()
    torch.testing.assert_close(loss.detach(), arrays["dice_loss"])
    torch.testing.assert_close(logits.grad, arrays["dice_grad"], atol=1e-7, rtol=1e-4)


def test_dice_is_nothing_where_masks_agree_and_one_where_they_are_apart() -> None:
    target = torch.zeros(2, 4, 4)
    target[:, :2] = 1
    assert dice(200 * (target - 0.5), target).item() == pytest.approx(0, abs=1e-3)
    assert dice(200 * (0.5 - target), target).item() == pytest.approx(1, abs=1e-3)


def test_masks_learn_from_dice_by_its_weight() -> None:
    logits, target = drawn(3, 16).view(3, 4, 4), (drawn(3, 16, seed=1) > 0).float().view(3, 4, 4)
    entropy, both = mask_criterion(0)(logits, target), mask_criterion(0.5)(logits, target)
    assert entropy == functional.binary_cross_entropy_with_logits(logits, target)
    torch.testing.assert_close(both, entropy + 0.5 * dice(logits, target))


def test_opposed_embeddings_of_one_object_are_pulled_together() -> None:
    cosine = torch.tensor([[-0.5]], requires_grad=True)
    cosine_regression(cosine, torch.tensor([[True]])).backward()
    assert cosine.grad is not None and float(cosine.grad) == pytest.approx(2 * -1.5)


def test_products_are_not_rounded_under_autocast() -> None:
    a, b = drawn(3, 64), drawn(5, 64, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        ours, plain = products(a, b), a @ b.T
    assert torch.equal(ours, a @ b.T) and not torch.equal(ours, plain.float())


def test_smooth_l1_by_hand() -> None:
    loss = smooth_l1(torch.tensor([0.5, 3.0]), torch.zeros(2), 1.0)
    assert float(loss) == pytest.approx(0.5 * 0.5**2 + (3 - 0.5))


def test_the_total_is_the_sum_of_the_parts() -> None:
    parts = [torch.tensor(float(2**i)) for i in range(8)]
    assert float(Losses(*parts).total()) == 2**8 - 1
