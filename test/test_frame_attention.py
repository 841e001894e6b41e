"""Frame-level attention of one pyramid level."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pcan_model.config import FrameAttentionConfig
from pcan_model.frame_attention import FrameAttention

CONFIG = FrameAttentionConfig(memory_frames=2, prototypes=6, key_channels=8, value_channels=12)


@pytest.fixture
def module() -> FrameAttention:
    torch.manual_seed(0)
    return FrameAttention(16, CONFIG)


@pytest.fixture
def awake(module: FrameAttention) -> FrameAttention:
    nn.init.normal_(module.fuse.weight, std=0.3)
    return module


def fused(module: FrameAttention, now: Tensor, *past: Tensor, valid: list[float] | None = None) -> Tensor:
    """Fuse a picture's features with those of past ones."""
    memory = [module.condense(*module.encode(x)) for x in past]
    keys, values = (torch.stack([m[i] for m in memory], 1) for i in range(2))
    flags = torch.tensor([valid or [1.0] * len(past)]).expand(len(now), -1)
    return module(now, *module.encode(now), keys, values, flags)


def features(seed: int) -> Tensor:
    return torch.randn(2, 16, 5, 7, generator=torch.Generator().manual_seed(seed))


def test_it_starts_as_identity(module: FrameAttention) -> None:
    assert torch.equal(fused(module, features(0), features(1), features(2)), features(0))


def test_once_fused_the_memory_changes_the_output(awake: FrameAttention) -> None:
    one = fused(awake, features(0), features(1), features(1))
    other = fused(awake, features(0), features(2), features(2))
    assert (one - other).abs().max() > 1e-3


def test_a_memory_that_is_not_valid_is_not_read(awake: FrameAttention) -> None:
    with_both = fused(awake, features(0), features(1), features(2), valid=[1.0, 0.0])
    torch.testing.assert_close(with_both, fused(awake, features(0), features(1)))


def test_the_order_of_memory_frames_does_not_matter(awake: FrameAttention) -> None:
    one = fused(awake, features(0), features(1), features(2))
    torch.testing.assert_close(one, fused(awake, features(0), features(2), features(1)))


def test_prototypes_follow_the_permutation_of_their_start(module: FrameAttention) -> None:
    keys, values = module.encode(features(0))
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    start = module.mu.expand(2, -1, -1)
    mu, v_mu = module.condense(keys, values, start)
    shuffled = module.condense(keys, values, start[:, order])
    torch.testing.assert_close(shuffled, (mu[:, order], v_mu[:, order]))


def test_prototypes_do_not_depend_on_where_things_are(module: FrameAttention) -> None:
    keys, values = module.encode(features(0))
    mirrored = module.encode(features(0).flip(-1))
    torch.testing.assert_close(module.condense(*mirrored), module.condense(keys, values))


def test_pictures_of_a_batch_do_not_mix(awake: FrameAttention) -> None:
    whole = fused(awake, features(0), features(1))
    alone = fused(awake, features(0)[1:], features(1)[1:])
    torch.testing.assert_close(whole[1:], alone)


def test_every_part_learns(awake: FrameAttention) -> None:
    fused(awake, features(0), features(1)).square().sum().backward()
    still = [n for n, p in awake.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


def test_a_fresh_module_learns_to_fuse_first(module: FrameAttention) -> None:
    fused(module, features(0), features(1)).square().sum().backward()
    assert module.fuse.weight.grad is not None and module.fuse.weight.grad.abs().sum() > 0
