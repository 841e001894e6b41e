"""Recomputation changes what is stored for the backward pass, but no result."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from pcan_model.core.config import FrameAttentionConfig
from pcan_model.model import prototypes
from pcan_model.model.frame_attention import prototypical
from pcan_model.model.frame_attention.factory import make_frame_attention
from pcan_model.model.recompute import recomputed

PIXELS, COUNT = 40, 6  # positions and prototypes


def plainly(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    return function(*tensors)


def fused_and_gradients(precision: torch.dtype = torch.float32) -> list[Tensor]:
    """Fuse an image with two past ones; return the result and every gradient."""
    torch.manual_seed(0)
    config = FrameAttentionConfig(prototypes=COUNT, key_channels=8, value_channels=12)
    module = make_frame_attention(16, config)
    torch.nn.init.normal_(module.fuse.weight, std=0.3)
    x = torch.randn(3, 16, 5, 8, requires_grad=True)
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        keys, values = module.encode(x)
        mu, v = module.condense(keys[1:], values[1:])
        out = module(x[:1], keys[:1], values[:1], mu[None], v[None], torch.ones(1, 2))
    out.float().square().sum().backward()
    gradients = [p.grad for p in (x, *module.parameters())]
    assert all(g is not None and g.abs().sum() > 0 for g in gradients)
    return [out.detach(), *(g for g in gradients if g is not None)]


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_frame_attention_and_its_gradients_are_bit_for_bit_those_without(
    precision: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = fused_and_gradients(precision)
    for room in (prototypes, prototypical):
        monkeypatch.setattr(room, "recomputed", plainly)
    for a, b in zip(ours, fused_and_gradients(precision), strict=True):
        assert torch.equal(a, b)


def kept(steps: int) -> list[tuple[int, ...]]:
    """Return the shapes of what EM keeps for its backward pass."""
    shapes: list[tuple[int, ...]] = []
    keys = torch.randn(1, PIXELS, 3, requires_grad=True)
    weight, mu = torch.rand(1, PIXELS), torch.randn(1, COUNT, 3)

    def note(tensor: Tensor) -> Tensor:
        shapes.append(tuple(tensor.shape))
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        prototypes.fit_prototypes(keys, weight, mu, sigma2=0.5, steps=steps)
    return shapes


def test_em_keeps_no_assignment_of_any_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (1, PIXELS, COUNT) not in kept(steps=3)
    monkeypatch.setattr(prototypes, "recomputed", plainly)
    assert kept(steps=3).count((1, PIXELS, COUNT)) >= 3


def test_without_gradients_it_is_a_plain_call() -> None:
    calls: list[bool] = []

    def function(x: Tensor) -> Tensor:
        calls.append(torch.is_grad_enabled())
        return x * x

    x = torch.tensor(3.0, requires_grad=True)
    with torch.no_grad():
        assert recomputed(function, x).grad_fn is None
    assert calls == [False]
    recomputed(function, x).backward()
    assert len(calls) == 3 and x.grad == 6, "once for the result, once again for the gradient"
