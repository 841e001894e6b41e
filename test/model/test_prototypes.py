"""Equations 2 to 8 beside slow, obvious computations."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pcan_model.model.prototypes import (
    EPS,
    assign,
    fit_prototypes,
    propagate,
    read_memory,
    unit_keys,
    value_prototypes,
)

SIGMA2 = 0.4


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def read(queries: Tensor, mu: Tensor, values: Tensor, sigma2: float) -> Tensor:
    """Eq. 5 and 6 of one memory frame, as printed; `read_memory` never stores what it reads."""
    return assign(queries, mu, sigma2) @ values


def read_alone(queries: Tensor, mu: Tensor, values: Tensor, sigma2: float) -> Tensor:
    """The same by `read_memory`, where the current frame says nothing: half zeros, half what is read."""
    frames = mu[:, None], values[:, None]
    nothing = torch.zeros(*queries.shape[:2], values.shape[-1])
    return 2 * read_memory(queries, nothing, frames, torch.ones(len(mu), 1), sigma2=sigma2, scale=1.0)


def density(key: Tensor, mu: Tensor, sigma2: float) -> float:
    """One Gaussian of Eq. 2, as printed."""
    distance = sum(float(a - b) ** 2 for a, b in zip(key, mu, strict=True))
    return math.exp(-distance / (2 * sigma2)) / (2 * math.pi * sigma2) ** (len(key) / 2)


def posterior(keys: Tensor, mu: Tensor, sigma2: float) -> Tensor:
    """Eq. 3 by Bayes' rule with uniform priors, (N, K)."""
    rows = []
    for key in keys:
        joint = [density(key, component, sigma2) / len(mu) for component in mu]
        rows.append([p / sum(joint) for p in joint])
    return torch.tensor(rows)


def slow_step(keys: Tensor, weight: Tensor, mu: Tensor, sigma2: float) -> Tensor:
    """One EM step, (K, D)."""
    z = posterior(keys, mu, sigma2)
    means = torch.zeros_like(mu)
    for j in range(len(mu)):
        total = sum(float(weight[n] * z[n, j]) for n in range(len(keys)))
        for n in range(len(keys)):
            means[j] += float(weight[n] * z[n, j]) * keys[n] / total
    return means


def log_likelihood(keys: Tensor, mu: Tensor, sigma2: float) -> float:
    """Eq. 2 of all positions."""
    return sum(math.log(sum(density(key, m, sigma2) for m in mu) / len(mu)) for key in keys)


def test_assignment_is_bayes_rule_on_gaussians() -> None:
    keys, mu = drawn(2, 6, 3), drawn(2, 4, 3, seed=1)
    expected = torch.stack([posterior(k, m, SIGMA2) for k, m in zip(keys, mu, strict=True)])
    torch.testing.assert_close(assign(keys, mu, SIGMA2), expected, atol=1e-5, rtol=1e-4)


def test_em_steps_are_the_slow_ones() -> None:
    keys, mu = drawn(1, 20, 3), drawn(1, 4, 3, seed=1)
    weight = torch.rand(1, 20, generator=torch.Generator().manual_seed(2))
    expected = mu[0]
    for _ in range(3):
        expected = slow_step(keys[0], weight[0], expected, SIGMA2)
    fitted = fit_prototypes(keys, weight, mu, sigma2=SIGMA2, steps=3)
    torch.testing.assert_close(fitted[0], expected, atol=1e-3, rtol=1e-3)


def test_the_likelihood_of_eq_2_never_falls() -> None:
    keys, mu = drawn(1, 40, 3), drawn(1, 5, 3, seed=1)
    likelihoods = []
    for steps in range(8):
        fitted = fit_prototypes(keys, None, mu, sigma2=SIGMA2, steps=steps)
        likelihoods.append(log_likelihood(keys[0], fitted[0], SIGMA2))
    assert likelihoods == sorted(likelihoods)
    assert likelihoods[-1] > likelihoods[0] + 10


def test_equal_weights_are_no_weights() -> None:
    keys, mu = drawn(2, 30, 4), drawn(2, 5, 4, seed=1)
    weighted = fit_prototypes(keys, torch.ones(2, 30), mu, sigma2=SIGMA2, steps=4)
    torch.testing.assert_close(weighted, fit_prototypes(keys, None, mu, sigma2=SIGMA2, steps=4))


def test_positions_of_zero_weight_are_ignored() -> None:
    keys, mu = drawn(2, 50, 8), drawn(2, 4, 8, seed=1)
    weight = torch.ones(2, 50)
    weight[:, 30:] = 0
    whole = fit_prototypes(keys, weight, mu, sigma2=SIGMA2, steps=3)
    cropped = fit_prototypes(keys[:, :30], weight[:, :30], mu, sigma2=SIGMA2, steps=3)
    torch.testing.assert_close(whole, cropped)


def test_an_empty_mask_keeps_the_means_it_started_from() -> None:
    keys, mu = drawn(2, 50, 8), drawn(2, 4, 8, seed=1)
    torch.testing.assert_close(fit_prototypes(keys, torch.zeros(2, 50), mu, sigma2=0.05, steps=6), mu)


def test_an_empty_mask_gives_finite_gradients() -> None:
    keys, mu = drawn(1, 9, 4).requires_grad_(), drawn(1, 3, 4, seed=1).requires_grad_()
    fit_prototypes(keys, torch.zeros(1, 9), mu, sigma2=0.05, steps=6).sum().backward()
    assert keys.grad is not None and keys.grad.isfinite().all()
    assert mu.grad is not None and mu.grad.isfinite().all()


@pytest.mark.parametrize(
    ("positions", "prototypes", "norm"),
    [
        (3, 10, 1.0),
        (1, 4, 1.0),
        (1, 1, 1.0),
        (0, 4, 1.0),
        (50, 4, 6e3),
        (50, 4, 1e15),
        (50, 4, 0.0),
        (50, 4, 1e-20),
    ],
    ids=[
        "more prototypes than positions",
        "one pixel",
        "one of each",
        "no pixel",
        "huge",
        "huger",
        "all zero",
        "tiny",
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_unusual_features_stay_finite(
    positions: int, prototypes: int, norm: float, dtype: torch.dtype
) -> None:
    limit = min(torch.finfo(dtype).max, 1e30)
    keys = (drawn(2, positions, 8) * norm).clamp(-limit, limit).to(dtype)
    mu = drawn(2, prototypes, 8, seed=1).to(dtype)
    fitted = fit_prototypes(keys, None, mu, sigma2=0.05, steps=6)
    values = value_prototypes(keys, drawn(2, positions, 5), fitted, 0.05)
    assert fitted.isfinite().all() and values.isfinite().all()
    assert read_alone(keys, fitted, values, 0.05).isfinite().all()


def test_constant_features_gather_at_the_constant() -> None:
    keys = unit_keys(torch.ones(1, 30, 4))
    fitted = fit_prototypes(keys, None, unit_keys(drawn(1, 3, 4)), sigma2=0.5, steps=6)
    torch.testing.assert_close(fitted, keys[:, :3], atol=1e-3, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_features_of_16_bits_are_computed_in_32(dtype: torch.dtype) -> None:
    keys, mu, values = drawn(1, 20, 4).to(dtype), drawn(1, 3, 4, seed=1).to(dtype), drawn(1, 20, 5).to(dtype)
    fitted = fit_prototypes(keys, None, mu, sigma2=SIGMA2, steps=3)
    exact = fit_prototypes(keys.float(), None, mu.float(), sigma2=SIGMA2, steps=3)
    torch.testing.assert_close(fitted, exact)
    assert value_prototypes(keys, values, mu, SIGMA2).dtype == torch.float32
    assert read_alone(keys, mu, values[:, :3], SIGMA2).dtype == torch.float32


def test_autocast_does_not_round_the_equations() -> None:
    keys, mu, values = unit_keys(drawn(1, 50, 8)), unit_keys(drawn(1, 5, 8, seed=1)), drawn(1, 50, 4, seed=2)

    def condense_and_read() -> Tensor:
        fitted = fit_prototypes(keys, None, mu, sigma2=0.05, steps=6)
        return read_alone(keys, fitted, value_prototypes(keys, values, fitted, 0.05), 0.05)

    exact = condense_and_read()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(condense_and_read(), exact)


def test_value_prototypes_are_means_weighted_by_assignment() -> None:
    keys, values, mu = drawn(1, 12, 3), drawn(1, 12, 4, seed=1), drawn(1, 3, 3, seed=2)
    z = posterior(keys[0], mu[0], SIGMA2)
    expected = torch.stack([(z[:, j, None] * values[0]).sum(0) / z[:, j].sum() for j in range(3)])
    torch.testing.assert_close(value_prototypes(keys, values, mu, SIGMA2)[0], expected, atol=1e-3, rtol=1e-3)


def test_constant_values_stay_constant_whatever_the_size_of_the_image() -> None:
    for positions in (20, 2000):
        keys = unit_keys(drawn(1, positions, 4))
        mu = fit_prototypes(keys, None, unit_keys(drawn(1, 3, 4, seed=1)), sigma2=0.5, steps=3)
        values = value_prototypes(keys, torch.full((1, positions, 2), 7.0), mu, 0.5)
        torch.testing.assert_close(values, torch.full((1, 3, 2), 7.0), atol=1e-3, rtol=1e-3)


def test_an_image_of_its_own_prototypes_reads_itself() -> None:
    keys, values = unit_keys(drawn(1, 20, 16)), drawn(1, 20, 5, seed=1)
    torch.testing.assert_close(read_alone(keys, keys, values, 1e-3), values, atol=1e-4, rtol=1e-4)


def test_with_every_position_a_prototype_reading_is_full_attention() -> None:
    keys, queries, values = unit_keys(drawn(1, 20, 8)), unit_keys(drawn(1, 6, 8, seed=1)), drawn(1, 20, 5)
    full = torch.softmax(queries @ keys.mT / SIGMA2, -1) @ values  # Eq. 1, keys of one length
    torch.testing.assert_close(read_alone(queries, keys, values, SIGMA2), full)


def test_reading_does_not_depend_on_the_order_of_prototypes() -> None:
    queries, mu, values = drawn(1, 6, 4), drawn(1, 5, 4, seed=1), drawn(1, 5, 3, seed=2)
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = read_alone(queries, mu[:, order], values[:, order], SIGMA2)
    torch.testing.assert_close(shuffled, read_alone(queries, mu, values, SIGMA2))


def memory_frames(frames: int = 3, positions: int = 9) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Return queries, values and the prototypes of some memory frames."""
    mu, v = unit_keys(drawn(1, frames, 5, 4, seed=2)), drawn(1, frames, 5, 3, seed=3)
    return unit_keys(drawn(1, positions, 4)), drawn(1, positions, 3, seed=1), (mu, v)


def blended(queries: Tensor, value: Tensor, frames: tuple[Tensor, Tensor], valid: list[float]) -> Tensor:
    return read_memory(queries, value, frames, torch.tensor([valid]), sigma2=SIGMA2, scale=0.7)


def literal_blend(queries: Tensor, value: Tensor, mu: Tensor, v: Tensor) -> Tensor:
    """Eq. 6 and 7 as printed, by loops over positions and frames, (N, C)."""
    result = torch.zeros_like(value)
    for i in range(len(value)):
        readings = [posterior(queries[i : i + 1], m, SIGMA2)[0] @ u for m, u in zip(mu, v, strict=True)]
        values = [value[i], *readings]
        raised = [math.exp(0.7 * float(y @ value[i])) for y in values]
        for y, share in zip(values, raised, strict=True):
            result[i] += y * share / sum(raised)
    return result


def test_reading_a_memory_is_eq_6_and_7_in_loops() -> None:
    queries, value, frames = memory_frames()
    expected = literal_blend(queries[0], value[0], *(f[0] for f in frames))
    torch.testing.assert_close(blended(queries, value, frames, [1, 1, 1])[0], expected, atol=1e-5, rtol=1e-4)


def test_reading_a_memory_is_full_attention_where_every_position_is_a_prototype() -> None:
    """Per frame Eq. 1 in the key space, then Eq. 7: no prototype loses anything."""
    queries, value, _ = memory_frames()
    keys, values = unit_keys(drawn(1, 2, 30, 4, seed=5)), drawn(1, 2, 30, 3, seed=6)
    full = torch.softmax(queries[:, None] @ keys.mT / SIGMA2, -1) @ values  # (1, 2, N, C)
    every = torch.cat([value[:, None], full], 1)
    weights = torch.softmax((every * value[:, None]).sum(-1) * 0.7, 1)
    torch.testing.assert_close(
        blended(queries, value, (keys, values), [1, 1]), (weights[..., None] * every).sum(1)
    )


def test_invalid_memory_frames_have_exactly_no_effect() -> None:
    queries, value, (mu, v) = memory_frames()
    garbage = mu.clone(), v.clone()
    garbage[0][:, 1], garbage[1][:, 1] = 1e4, -1e4
    clean = blended(queries, value, (mu, v), [1, 0, 1])
    assert torch.equal(blended(queries, value, garbage, [1, 0, 1]), clean)
    torch.testing.assert_close(blended(queries, value, (mu[:, [0, 2]], v[:, [0, 2]]), [1, 1]), clean)


def test_without_memory_the_value_is_returned_and_with_one_it_changes() -> None:
    queries, value, frames = memory_frames()
    assert torch.equal(blended(queries, value, frames, [0, 0, 0]), value)
    assert (blended(queries, value, frames, [1, 1, 1]) - value).abs().max() > 0.1


def test_gradients_are_those_of_the_equations_as_printed() -> None:
    """EM, Eq. 4 and Eq. 5 by distances that are written out, differentiated by the same autograd."""

    def gaussians(keys: Tensor, mu: Tensor) -> Tensor:
        distances = (keys[:, :, None] - mu[:, None]).square().sum(-1)  # (B, N, K)
        return torch.softmax(-distances / (2 * SIGMA2), -1)

    def as_printed(keys: Tensor, values: Tensor, mu: Tensor) -> Tensor:
        for _ in range(3):
            z = gaussians(keys, mu)
            mu = (z.mT @ keys + EPS * mu) / (z.sum(1)[..., None] + EPS)
        z = gaussians(keys, mu)
        return gaussians(keys, mu) @ ((z.mT @ values) / (z.sum(1)[..., None] + EPS))

    def ours(keys: Tensor, values: Tensor, mu: Tensor) -> Tensor:
        mu = fit_prototypes(keys, None, mu, sigma2=SIGMA2, steps=3)
        return read_alone(keys, mu, value_prototypes(keys, values, mu, SIGMA2), SIGMA2)

    inputs = [x.requires_grad_() for x in (drawn(1, 12, 3), drawn(1, 12, 2, seed=1), drawn(1, 4, 3, seed=2))]
    weights = drawn(1, 12, 2, seed=3)
    expected = torch.autograd.grad((as_printed(*inputs) * weights).sum(), inputs)
    torch.testing.assert_close(
        torch.autograd.grad((ours(*inputs) * weights).sum(), inputs), expected, atol=1e-5, rtol=1e-3
    )


def test_the_same_start_gives_the_same_prototypes_bit_for_bit() -> None:
    keys, mu = unit_keys(drawn(2, 300, 8)), unit_keys(drawn(2, 16, 8, seed=1))
    one, other = (fit_prototypes(keys, None, mu, sigma2=0.05, steps=6) for _ in range(2))
    assert torch.equal(one, other)


def test_nothing_of_size_positions_times_prototypes_times_channels_is_ever_made() -> None:
    positions, prototypes, channels, largest = 50, 40, 30, 0

    class Largest(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            largest = max(largest, *(x.numel() for x in tree_leaves(out)))
            return out

    keys, mu = drawn(1, positions, channels), drawn(1, prototypes, channels, seed=1)
    with Largest():
        fitted = fit_prototypes(keys, None, mu, sigma2=SIGMA2, steps=2)
        values = value_prototypes(keys, keys, fitted, SIGMA2)
        frames = fitted[:, None], values[:, None]
        read_memory(keys, keys, frames, torch.ones(1, 1), sigma2=SIGMA2, scale=1.0)
    assert 0 < largest <= positions * max(prototypes, channels)


def test_propagation_by_hand() -> None:
    step = propagate(torch.tensor([1.0, 10.0]), torch.tensor([2.0, 0.0]), 0.2)
    torch.testing.assert_close(step, torch.tensor([0.8 * 1 + 0.2 * 2, 0.8 * 10]))
    torch.testing.assert_close(propagate(step, step, 0.2), step)


def test_reading_one_frame_is_eq_5_and_6() -> None:
    queries, mu, values = drawn(2, 6, 4), drawn(2, 5, 4, seed=1), drawn(2, 5, 3, seed=2)
    torch.testing.assert_close(read_alone(queries, mu, values, SIGMA2), read(queries, mu, values, SIGMA2))


def test_unit_keys_leave_zero_at_zero() -> None:
    keys = unit_keys(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    torch.testing.assert_close(keys, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
