"""The released EM and frame memory: against plain loops, and against the recorded numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support.parity import recorded, worst
from support.released import small_released_config
from support.slow_em import slow_fit

from pcan_model.core.config import Config
from pcan_model.released.clustering import attend, fit_prototypes
from pcan_model.released.frame_memory import Bank, FrameMemory


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("steps", [1, 3, 6])
def test_em_equals_the_slow_loop(weighted: bool, steps: int) -> None:
    generator = torch.Generator().manual_seed(steps)
    x, mu = torch.randn(2, 12, 5, generator=generator), torch.randn(2, 4, 5, generator=generator)
    mu = mu / mu.norm(dim=-1, keepdim=True)
    weight = (torch.rand(2, 12, generator=generator) > 0.4).float() if weighted else None
    ours = fit_prototypes(x, weight, mu, sigma2=0.05, steps=steps)
    for i in range(2):
        expected = slow_fit(x[i], None if weight is None else weight[i], mu[i], 20.0, steps)
        torch.testing.assert_close(ours[i], expected, atol=2e-5, rtol=0)


def test_without_weight_prototypes_are_zero_then_all_alike() -> None:
    x, mu = torch.randn(1, 9, 4), torch.eye(4)[None, :3]
    nothing = fit_prototypes(x, torch.zeros(1, 9), mu, sigma2=0.05, steps=6)
    assert torch.equal(nothing, torch.zeros(1, 3, 4))
    again = fit_prototypes(x, torch.ones(1, 9), nothing, sigma2=0.05, steps=1)
    torch.testing.assert_close(again, again[:, :1].expand(-1, 3, -1))


def test_huge_features_stay_finite() -> None:
    x = torch.randn(1, 20, 4) * 1e4
    mu = fit_prototypes(x, None, torch.eye(4)[None], sigma2=0.05, steps=6)
    assert torch.isfinite(mu).all() and torch.isfinite(attend(x, mu)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("weight", [None, 0.0, 1.0])
def test_features_of_16_bits_are_computed_in_32(dtype: torch.dtype, weight: float | None) -> None:
    x = (torch.randn(2, 20, 4, generator=torch.Generator().manual_seed(0)) * 30).to(dtype)
    counts = None if weight is None else torch.full((2, 20), weight, dtype=dtype)
    for start in (torch.eye(4).expand(2, -1, -1), torch.eye(4, dtype=dtype).expand(2, -1, -1)):
        with torch.autocast("cpu", torch.bfloat16):
            mu = fit_prototypes(x, counts, start, sigma2=0.05, steps=6)
            maps = attend(x, mu)
        assert mu.dtype == maps.dtype == torch.float32 and mu.isfinite().all()
        exact = fit_prototypes(x.float(), counts, start.float(), sigma2=0.05, steps=6)
        assert torch.equal(mu, exact) and torch.equal(maps, attend(x.float(), exact))


def test_features_of_64_bits_stay_so() -> None:
    x, mu = torch.randn(1, 20, 4).double(), torch.eye(4)[None].double()
    mu = fit_prototypes(x, None, mu, sigma2=0.05, steps=6)
    assert mu.dtype == attend(x, mu).dtype == torch.float64


def config_of(channels: int, prototypes: int) -> Config:
    config = small_released_config(frame_attention={"levels": (2,), "prototypes": prototypes})
    return replace(config, backbone=replace(config.backbone, channels=channels))


@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_the_memory_is_the_recorded_one(case: str) -> None:
    arrays = {k[2:]: v for k, v in recorded("frame_em").items() if k.startswith(f"{case}_")}
    mu, query, rows = arrays["mu"].mT, arrays["query"], arrays["bank"].flatten(2).mT
    once, thrice = (fit_prototypes(rows, None, mu, sigma2=0.05, steps=steps) for steps in (1, 3))
    z = attend(query.flatten(2).mT, thrice)
    memory = FrameMemory(config_of(query.shape[1], mu.shape[1]))
    levels, bank = memory([query], Bank((arrays["bank"],), (mu,)))
    ours = {
        "protos1": once.mT,
        "protos": thrice.mT,
        "z": z,
        "ref": (z @ thrice).mT.view_as(query),
        "fused": levels[0],
        "bank_new": bank.features[0],
        "mu_new": bank.starts[0].mT,
    }
    assert max(worst(ours, {name: arrays[name] for name in ours}).values()) < 5e-5


def test_the_first_frame_is_smoothed_by_itself() -> None:
    memory, x = FrameMemory(config_of(8, 6)), torch.randn(1, 8, 5, 6)
    levels, bank = memory([x], Bank())
    again, _ = memory([x], Bank((x,), (memory.get_buffer("mu0")[None],)))
    assert torch.equal(levels[0], again[0]) and not torch.equal(levels[0], x)
    torch.testing.assert_close(bank.features[0], 0.75 * levels[0] + 0.25 * x)


def test_a_memory_changes_neither_its_input_nor_other_levels() -> None:
    memory = FrameMemory(config_of(8, 6))
    levels = [torch.randn(1, 8, 4, 4) for _ in range(3)]
    before = [level.clone() for level in levels]
    fused, _ = memory(levels, Bank())
    assert all(torch.equal(a, b) for a, b in zip(levels, before, strict=True))
    assert fused[1] is levels[1] and fused[2] is levels[2]
    config = config_of(8, 6)
    off = FrameMemory(replace(config, frame_attention=replace(config.frame_attention, enabled=False)))
    assert off(levels, Bank())[0][0] is levels[0]
