"""The released refinement against the recorded numbers, and what holds without them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support.parity import recorded, worst
from support.released import small_released_config
from support.slow_em import slow_fit
from torch import Tensor
from torch.nn import functional

from pcan_model.released.checkpoint_names import released_name
from pcan_model.released.clustering import attend
from pcan_model.released.refinement import (
    Contrast,
    MaskedRegions,
    RefineHead,
    contrast_maps,
    half,
    mean_foreground,
    on_object,
)


def make_head(
    channels: int, *, prototypes: int = 10, layers: int = 3, reference_mask: bool = False
) -> RefineHead:
    torch.manual_seed(0)
    config = small_released_config(
        instance_attention={"foreground": prototypes, "background": prototypes, "layers": 3},
        released={"reference_mask": reference_mask},
    )
    head = RefineHead(replace(config, backbone=replace(config.backbone, channels=channels)))
    torch.nn.init.normal_(head.head.mask.weight)
    return head


def regions(count: int, channels: int, seed: int, shift: float = 0.0) -> MaskedRegions:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, channels, 6, 6, generator=generator)
    return MaskedRegions(features, torch.randn(count, 12, 12, generator=generator) + shift)


def test_foreground_and_background_are_condensed_apart_first_reference_then_current() -> None:
    head = make_head(5, prototypes=3)
    a, b = regions(2, 5, seed=1), regions(2, 5, seed=2)
    _, ours = head(a, b, head.prototypes.start())
    for i in range(2):
        for own, name, flip in ((ours.foreground, "pos_mu", False), (ours.background, "neg_mu", True)):
            mu = head.prototypes.get_buffer(name)
            for part in (a, b):
                inside = on_object(part.masks)[i].flatten()
                rows = part.features[i].flatten(1).T
                mu = slow_fit(rows, (inside ^ flip).float(), mu, 20.0, 6)
            torch.testing.assert_close(own[i], mu, atol=2e-4, rtol=0)


def test_maps_of_foreground_and_background_add_to_one() -> None:
    head, a = make_head(5), regions(3, 5, seed=1)
    maps = contrast_maps(a.features, head.prototypes(a, head.prototypes.start()))
    assert maps.shape == (3, 2, 6, 6)
    torch.testing.assert_close(maps.sum(1), torch.ones(3, 6, 6))


@pytest.mark.parametrize("shift", [-100.0, 100.0])
def test_an_empty_side_of_a_mask_gives_numbers_all_the_same(shift: float) -> None:
    head, a = make_head(5), regions(2, 5, seed=1, shift=shift)
    logits, fitted = head(a, a, head.prototypes.start())
    assert torch.isfinite(logits).all() and torch.isfinite(fitted.foreground).all()
    if shift < 0:
        assert torch.equal(mean_foreground(a), torch.zeros(2, 5, 1, 1))


def test_each_region_is_refined_by_itself() -> None:
    head, a, b = make_head(5), regions(4, 5, seed=1), regions(4, 5, seed=2)
    together, _ = head(a, b, head.prototypes.start())
    one = [MaskedRegions(x.features[2:3], x.masks[2:3]) for x in (a, b)]
    alone, _ = head(*one, head.prototypes.start())
    torch.testing.assert_close(together[2:3], alone, atol=1e-4, rtol=1e-4)


def test_no_regions_are_no_trouble_and_move_nothing() -> None:
    head, none = make_head(5), regions(0, 5, seed=1)
    start = head.prototypes.start()
    logits, fitted = head(none, none, start)
    assert logits.shape == (0, 12, 12)
    assert start.moved(fitted, 0.05) is start


def test_a_start_moves_by_plain_means() -> None:
    old = Contrast(torch.ones(1, 2, 3), torch.zeros(1, 2, 3))
    new = Contrast(torch.stack([torch.zeros(2, 3), torch.full((2, 3), 4.0)]), torch.ones(2, 2, 3))
    moved = old.moved(new, 0.05)
    torch.testing.assert_close(moved.foreground, torch.full((1, 2, 3), 0.95 + 0.05 * 2))
    torch.testing.assert_close(moved.background, torch.full((1, 2, 3), 0.05))


def test_no_gradient_passes_the_em() -> None:
    head, a = make_head(5), regions(2, 5, seed=1)
    fitted = head.prototypes(MaskedRegions(a.features.requires_grad_(), a.masks), head.prototypes.start())
    assert not fitted.foreground.requires_grad


def load(arrays: dict[str, Tensor], *, reference_mask: bool) -> RefineHead:
    """Return the recorded head."""
    weights = {k.removeprefix("sd_"): v for k, v in arrays.items() if k.startswith("sd_")}
    head = make_head(len(weights["conv2.conv.bias"]), reference_mask=reference_mask)
    names = {
        name: released_name(f"refine.{name}").removeprefix("roi_head.refine_head.")
        for name in head.state_dict()
    }
    turned = {k: v[0].T if k.endswith("_mu") else v for k, v in weights.items()}
    assert set(names.values()) == set(weights)
    head.load_state_dict({ours: turned[theirs] for ours, theirs in names.items()})
    return head


SETTLED = slice(
    0, 3
)  # the fourth reference is empty: its prototypes are 0, then alike, then rounding decides


@pytest.mark.parametrize("case", ["cfg", "maskref"])
def test_the_prototypes_are_the_recorded_ones(case: str) -> None:
    arrays = recorded(f"refine_head_{case}")
    part = load(arrays, reference_mask=case == "maskref").prototypes
    a, b = (MaskedRegions(arrays[f"feat_{x}"], arrays[f"mask_{x}"][:, 0]) for x in "ab")
    before = part(a, part.start())
    fitted = part(b, before)
    ours = {
        "pos_pre": before.foreground.mT,
        "neg_pre": before.background.mT,
        "neg": fitted.background.mT,
        "pos": fitted.foreground.mT[SETTLED],
    }
    expected = {name: arrays[name] for name in ours} | {"pos": arrays["pos"][SETTLED]}
    assert max(worst(ours, expected).values()) < 1e-4


def given(head: RefineHead, arrays: dict[str, Tensor]) -> Contrast:
    """Let a head work with the recorded prototypes, which a rounding has decided in one region."""
    fixed = Contrast(arrays["pos"].mT, arrays["neg"].mT)
    head.prototypes.register_forward_hook(lambda *_: fixed)
    return fixed


@pytest.mark.parametrize("case", ["cfg", "maskref"])
def test_the_refinement_is_the_recorded_one(case: str) -> None:
    arrays = recorded(f"refine_head_{case}")
    a, b = (MaskedRegions(arrays[f"feat_{x}"], arrays[f"mask_{x}"][:, 0]) for x in "ab")
    head = load(arrays, reference_mask=case == "maskref")
    with torch.no_grad():
        fitted = given(head, arrays)
        first, _ = head(a, b, head.prototypes.start())
        moved = head.prototypes.start().moved(fitted, 0.05)
        free = load(arrays, reference_mask=case == "maskref")
        second, again = free(b, a, moved)
        last = moved.moved(again, 0.05)
    maps = contrast_maps(b.features, fitted)
    each = attend(b.features.flatten(2).mT, torch.cat([fitted.foreground, fitted.background], 1))
    each = each.mT.unflatten(-1, b.features.shape[-2:])
    ours = {
        "mask_a14": half(a.masks), "mask_b14": half(b.masks),
        "mask_a_bin": on_object(a.masks).float(), "mask_b_bin": on_object(b.masks).float(),
        "pos_z": maps[:, :1], "neg_z": maps[:, 1:], "gap": mean_foreground(a),
        "pos_z_each": each[:, :10], "neg_z_each": each[:, 10:],
        "out1": first[:, None], "pos_mu_1": moved.foreground.mT, "neg_mu_1": moved.background.mT,
        "out2": second[:, None], "pos_mu_2": last.foreground.mT, "neg_mu_2": last.background.mT,
    }  # fmt: skip
    assert max(worst(ours, {name: arrays[name] for name in ours}).values()) < 1e-4


@pytest.mark.parametrize("case", ["cfg", "maskref"])
def test_loss_and_gradients_are_the_recorded_ones(case: str) -> None:
    arrays = recorded(f"refine_head_{case}")
    head = load(arrays, reference_mask=case == "maskref")
    a, b = (MaskedRegions(arrays[f"feat_{x}"], arrays[f"mask_{x}"][:, 0]) for x in "ab")
    given(head, arrays)
    logits, _ = head(a, b, head.prototypes.start())
    loss = functional.binary_cross_entropy_with_logits(logits, arrays["target"])
    loss.backward()
    gradients = {
        released_name(f"refine.{n}").replace("roi_head.refine_head.", "grad_"): p.grad
        for n, p in head.named_parameters()
    }
    assert set(gradients) == {name for name in arrays if name.startswith("grad_")}
    ours = gradients | {"loss": loss.detach()}
    found = worst(ours, {name: arrays[name] for name in ours})
    assert max(found.values()) < 1e-5
