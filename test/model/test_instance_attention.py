"""Instance-level attention: prototypes per track, propagated and read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pcan_model.core.config import InstanceAttentionConfig
from pcan_model.model.instance_attention import InstanceAttention, SegmentationHead

CONFIG = InstanceAttentionConfig(foreground=5, background=3, key_channels=8, layers=1)
S = 6  # cells of the RoI grid


@pytest.fixture
def module() -> InstanceAttention:
    torch.manual_seed(0)
    return InstanceAttention(4, CONFIG)


def regions(count: int = 3, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return RoI features, initial mask logits and a bank of unit vectors."""
    g = torch.Generator().manual_seed(seed)
    bank = nn.functional.normalize(torch.randn(count, 8, 8, generator=g), dim=-1)
    features = torch.randn(count, 4, S, S, generator=g)
    return features, 4 * torch.randn(count, 2 * S, 2 * S, generator=g), bank


def test_at_the_start_the_refined_mask_is_the_initial_one(module: InstanceAttention) -> None:
    features, mask, bank = regions()
    refined, _ = module(features, mask, bank, torch.tensor([0.0, 1.0, 0.0]))
    assert torch.equal(refined, mask)


def test_a_fresh_track_ignores_the_bank_and_keeps_its_own_prototypes(module: InstanceAttention) -> None:
    features, mask, bank = regions()
    fresh = torch.ones(3)
    _, accumulated = module(features, mask, bank, fresh)
    _, other = module(features, mask, -bank, fresh)
    assert torch.equal(accumulated, other)
    fitted = module.condense(module.encode(features), mask, module.mu.expand(3, -1, -1))
    assert torch.equal(accumulated, fitted)


def test_a_known_track_moves_by_the_update_rate(module: InstanceAttention) -> None:
    features, mask, bank = regions()
    _, accumulated = module(features, mask, bank, torch.zeros(3))
    fitted = module.condense(module.encode(features), mask, bank)
    torch.testing.assert_close(accumulated, 0.8 * bank + 0.2 * fitted)


def test_foreground_and_background_maps_each_sum_to_one(module: InstanceAttention) -> None:
    features, _, bank = regions()
    maps = module.attend(module.encode(features), bank, features.shape[-2:])
    assert maps.shape == (3, 8, S, S)
    torch.testing.assert_close(maps[:, :5].sum(1), torch.ones(3, S, S))
    torch.testing.assert_close(maps[:, 5:].sum(1), torch.ones(3, S, S))


def test_maps_lie_where_their_pixels_are(module: InstanceAttention) -> None:
    features, _, bank = regions(1)
    features = features[..., :1, :1].repeat(1, 1, S, S)
    features[..., 3, 4] *= -1
    keys = module.encode(features)
    bank[0, :5] = keys[0, 0]
    bank[0, 2] = keys[0, 3 * S + 4]  # prototype 2 is the key of row 3, column 4
    found = module.attend(keys, bank, features.shape[-2:])[0, 2] > 0.5
    assert found.nonzero().tolist() == [[3, 4]]


def test_prototypes_of_one_side_do_not_see_the_other(module: InstanceAttention) -> None:
    features, _, bank = regions(1)
    mask = torch.full((1, 2 * S, 2 * S), -50.0)
    mask[..., : 2 * 3, :] = 50  # the upper half is the object
    changed = features.clone()
    changed[..., 3:, :] *= -1
    one = module.condense(module.encode(features), mask, bank)
    other = module.condense(module.encode(changed), mask, bank)
    torch.testing.assert_close(one[:, :5], other[:, :5])
    assert (one[:, 5:] - other[:, 5:]).abs().max() > 0.1


def test_a_mask_that_is_nowhere_or_everywhere_stays_finite(module: InstanceAttention) -> None:
    features, mask, bank = regions()
    for level in (-1e4, 1e4):
        refined, accumulated = module(features, torch.full_like(mask, level), bank, torch.zeros(3))
        assert refined.isfinite().all() and accumulated.isfinite().all()


@pytest.mark.parametrize(("foreground", "background"), [(0, 0), (1, 0), (0, 1), (1, 1), (50, 50)])
def test_any_number_of_prototypes_works_none_too(foreground: int, background: int) -> None:
    config = replace(CONFIG, foreground=foreground, background=background)
    module, (features, mask, _) = InstanceAttention(4, config), regions()
    nn.init.normal_(module.head.mask.weight)
    count = foreground + background
    refined, accumulated = module(features, mask, torch.randn(3, count, 8), torch.tensor([0.0, 1.0, 0.0]))
    refined.square().sum().backward()
    assert refined.shape == mask.shape and accumulated.shape == (3, count, 8)
    assert refined.isfinite().all() and accumulated.isfinite().all()


def known_track(**settings: Any) -> tuple[Tensor, Tensor, Tensor, InstanceAttention]:
    """Return a track's next prototypes, its old ones, those of this frame alone, and the module."""
    torch.manual_seed(0)
    module, (features, mask, bank) = InstanceAttention(4, replace(CONFIG, **settings)), regions()
    alone = module.condense(module.encode(features), mask, module.mu.expand(3, -1, -1))
    return module(features, mask, bank, torch.zeros(3))[1], bank, alone, module


def test_without_propagation_every_frame_begins_anew() -> None:
    accumulated, _, alone, _ = known_track(propagation="none")
    assert torch.equal(accumulated, alone)


def test_initial_prototypes_stay_as_the_track_began() -> None:
    accumulated, bank, _, _ = known_track(propagation="initial")
    torch.testing.assert_close(accumulated, bank)


def test_the_update_rate_decides_how_fast_a_track_changes() -> None:
    moved = {rate: known_track(update_rate=rate) for rate in (0.2, 0.5)}
    steps = {rate: (new - old) / rate for rate, (new, old, _, _) in moved.items()}
    torch.testing.assert_close(steps[0.2], steps[0.5], atol=1e-5, rtol=1e-4)


def test_objects_do_not_mix(module: InstanceAttention) -> None:
    nn.init.normal_(module.head.mask.weight)
    features, mask, bank = regions()
    whole, kept = module(features, mask, bank, torch.zeros(3))
    alone, own = module(features[1:2], mask[1:2], bank[1:2], torch.zeros(1))
    torch.testing.assert_close((whole[1:2], kept[1:2]), (alone, own))


def test_zero_objects_are_supported(module: InstanceAttention) -> None:
    features, mask, bank = regions(0)
    refined, accumulated = module(features, mask, bank, torch.zeros(0))
    assert refined.shape == (0, 2 * S, 2 * S) and accumulated.shape == (0, 8, 8)


def test_every_part_learns(module: InstanceAttention) -> None:
    nn.init.normal_(module.head.mask.weight)
    features, mask, bank = regions()
    refined, _ = module(features, mask, bank, torch.tensor([0.0, 1.0, 0.0]))
    refined.square().sum().backward()
    still = [n for n, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_a_fresh_head_learns_by_sgd_what_one_map_tells(layers: int) -> None:
    """With torch's own initialisation the loss stays within 1 % of where it began."""
    torch.manual_seed(0)
    head, g = SegmentationHead(20, 32, layers), torch.Generator().manual_seed(1)
    maps, initial = torch.randn(8, 20, S, S, generator=g), torch.randn(8, 2 * S, 2 * S, generator=g)
    target = (nn.functional.interpolate(maps[:, :1], scale_factor=2)[:, 0] > 0).float()
    sgd, losses = torch.optim.SGD(head.parameters(), lr=0.02, momentum=0.9), []
    for _ in range(60):
        loss = nn.functional.binary_cross_entropy_with_logits(initial + head(maps), target)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]


def test_a_single_prototype_has_a_constant_map() -> None:
    """Eq. 3 over one component is 1 everywhere: rows 1 + 0, 0 + 1 and 1 + 1 of Table 6."""
    torch.manual_seed(0)
    alone = InstanceAttention(4, replace(CONFIG, foreground=1, background=1))
    features, _, _ = regions()
    maps = alone.attend(alone.encode(features), torch.randn(3, 2, 8), torch.Size((S, S)))
    assert torch.equal(maps, torch.ones(3, 2, S, S))
