"""Training PCAN on SipMask: each stage trains its own parts, and clips of several frames teach them."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from support.sipmask import SMALL
from support.small import HEIGHT, WIDTH, small_config, small_truth
from torch import Tensor

from pcan_model.core.config import Config, ConfigError, load_config
from pcan_model.factory import make_net, make_pass
from pcan_model.sipmask.losses import SipMaskLosses
from pcan_model.training.targets import GroundTruth

FRAMES = 3
BASE = replace(
    small_config(train={"clip_frames": FRAMES}),
    detector="sipmask",
    backbone=SMALL.backbone,
    sipmask=replace(SMALL.sipmask, ranges=(24.0, 48.0, 96.0, 192.0)),
)


def in_stage(stage: str, base: Config = BASE) -> Config:
    return replace(base, train=replace(base.train, stage=stage))  # type: ignore[arg-type]


def clip(clips: int = 2, objects: int = 3) -> tuple[Tensor, list[GroundTruth]]:
    """Return filled rectangles that move, and what they are."""
    generator = torch.Generator().manual_seed(0)
    targets = [small_truth(objects, 4 * age, seed=k) for age in range(FRAMES) for k in range(clips)]
    images = torch.randint(0, 60, (len(targets), HEIGHT, WIDTH, 3), generator=generator, dtype=torch.uint8)
    for image, target in zip(images, targets, strict=True):
        for k, mask in enumerate(target.masks):
            image[mask] = torch.tensor([120 + 40 * k, 250 - 60 * k, 130], dtype=torch.uint8)
    return images, targets


def values(losses: SipMaskLosses) -> dict[str, float]:
    return {field.name: float(getattr(losses, field.name).detach()) for field in fields(losses)}


@pytest.mark.parametrize(
    ("stage", "parts"),
    [
        ("detector", {"detector"}),
        ("memory", {"detector", "frame_attention"}),
        ("instance", {"instance_attention"}),
        ("joint", {"detector", "frame_attention", "instance_attention"}),
    ],
)
def test_a_stage_trains_its_own_parts_and_nothing_else(stage: str, parts: set[str]) -> None:
    torch.manual_seed(0)
    net = make_net(in_stage(stage))
    for module in net.frame_attention:  # zeros would hide what is behind them
        torch.nn.init.normal_(module.fuse.weight, std=0.05)
    torch.nn.init.normal_(net.instance_attention.head.mask.weight, std=0.05)  # type: ignore[union-attr]
    losses = make_pass(net)(*clip())
    losses.total().backward()
    learnt = {n for n, p in net.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name.partition(".")[0] for name in learnt} == parts
    assert (values(losses)["refined"] > 0) == ("instance_attention" in parts)
    assert all(torch.isfinite(getattr(losses, field.name)) for field in fields(losses))


def test_nothing_to_see_teaches_background() -> None:
    losses = make_pass(make_net(in_stage("joint")))(*clip(objects=0))
    losses.total().backward()
    found = values(losses)
    assert found["classes"] > 0 and found["refined"] == found["masks"] == found["match"] == 0


@pytest.mark.slow
def test_a_clip_is_learnt_by_heart() -> None:
    torch.manual_seed(0)
    net = make_net(in_stage("joint"))
    taught, batch = make_pass(net), clip(clips=1, objects=2)
    optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=2e-3)
    said = []
    for _ in range(40):
        losses = taught(*batch)
        optimiser.zero_grad()
        losses.total().backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10)
        optimiser.step()
        said.append(values(losses))
    first, last = said[0], said[-1]
    assert last["classes"] < first["classes"] / 4 and last["boxes"] < first["boxes"] / 2
    assert last["refined"] < 0.6 * first["refined"] and last["masks"] < first["masks"]


@pytest.mark.parametrize("groups", [0, 1])
def test_training_in_mixed_precision_has_nearly_the_losses_of_full_precision(groups: int) -> None:
    torch.manual_seed(0)
    base = replace(BASE, sipmask=replace(BASE.sipmask, alignment_groups=groups))
    net = make_net(in_stage("joint", base))
    taught, batch = make_pass(net), clip()
    with torch.random.fork_rng():
        exact = taught(*batch)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = taught(*batch)
    mixed.total().backward()
    assert {getattr(mixed, field.name).dtype for field in fields(mixed)} == {torch.float32}
    assert values(mixed) == pytest.approx(values(exact), rel=0.1, abs=0.02)
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"train\.stage: expected detector or memory or instance or joint"):
        make_pass(make_net(in_stage("heads")))


@pytest.mark.parametrize(
    ("name", "stage", "attentions"),
    [
        ("sipmask_r50_youtube_vis", "detector", (False, False)),
        ("sipmask_frame_r50_youtube_vis", "memory", (True, False)),
        ("sipmask_instance_r50_youtube_vis", "joint", (False, True)),
        ("pcan_r50_youtube_vis", "joint", (True, True)),
        ("pcan_r101_youtube_vis", "joint", (True, True)),
    ],
)
def test_the_models_of_table_1_are_presets(name: str, stage: str, attentions: tuple[bool, bool]) -> None:
    config = load_config(name)
    assert (config.frame_attention.enabled, config.instance_attention.enabled) == attentions
    assert config.train.stage == stage and len(config.classes) == 40
    assert config.backbone.kind == ("resnet101" if "r101" in name else "resnet50")
