"""Clips in training: each frame reads what the running tracker would have kept of those before it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.small import HEIGHT, WIDTH, blocks, small_config, small_net, small_truth
from torch import Tensor

from pcan_model.data.pairs import draw_past
from pcan_model.inference.torch_engine import empty_memory
from pcan_model.model.pass_signature import static
from pcan_model.model.pcan import PCAN
from pcan_model.training.clip_memory import clip_features, read_past
from pcan_model.training.mask_losses import MaskRegions, refine
from pcan_model.training.training_pass import TrainingPass

FRAMES = 4


def clip_net() -> PCAN:
    return small_net(small_config(train={"clip_frames": FRAMES}))


def clip_images(clips: int = 1) -> Tensor:
    """Return images of B clips, the newest frames first."""
    return torch.cat([blocks(HEIGHT, WIDTH, seed=seed) for seed in range(FRAMES * clips)])


@torch.inference_mode()
def test_every_frame_reads_what_the_tracker_would_have_remembered() -> None:
    net, images = clip_net(), clip_images()
    trained = read_past(net, net.features(images), FRAMES)
    memory = empty_memory(static(net)).frames
    for age in reversed(range(FRAMES)):
        levels, keys, values = static(net).frame._remember(net.features(images[age : age + 1]), *memory)  # type: ignore[operator]
        memory = keys, values, torch.cat([torch.ones(1), memory[2][:-1]])
        for ours, theirs in zip(trained, levels, strict=True):
            torch.testing.assert_close(ours[age : age + 1], theirs, atol=2e-4, rtol=2e-4)


@torch.inference_mode()
def test_a_frame_reads_older_frames_of_its_own_clip_only() -> None:
    net, images = clip_net(), clip_images(clips=2)
    changed = images.clone()
    changed[2 * 2 + 1] = 255 - changed[2 * 2 + 1]  # age 2 of clip 1
    one, two = (read_past(net, net.features(x), FRAMES)[2] for x in (images, changed))
    moved = [not torch.equal(a, b) for a, b in zip(one, two, strict=True)]
    assert moved == [False, True, False, True, False, True, False, False]


@torch.inference_mode()
def test_masks_are_refined_in_the_order_of_time() -> None:
    attention = clip_net().instance_attention
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(5, 16, 14, 14, generator=generator)
    initial = torch.randn(5, 28, 28, generator=generator)
    ages, ids = torch.tensor([0, 0, 1, 2, 3]), torch.tensor([7, 8, 7, 8, 7])
    refined = refine(attention, MaskRegions(features, initial, initial, ages, ids, clips=1))
    bank = torch.zeros(1, *attention.mu.shape)
    for row, fresh in ((4, 1.0), (2, 0.0), (0, 0.0)):  # object 7 at ages 3, 1 and 0
        own = slice(row, row + 1)
        expected, bank = attention(features[own], initial[own], bank, torch.tensor([fresh]))
        torch.testing.assert_close(refined[own], expected)


def test_older_frames_teach_the_memory_but_not_the_backbone() -> None:
    net, images = clip_net(), clip_images()
    with_gradient = []

    def features(part: Tensor) -> list[Tensor]:
        with_gradient.append((len(part), torch.is_grad_enabled()))
        return net.features(part)

    levels = clip_features(features, images, learned=2)
    assert with_gradient == [(2, True), (2, False)]
    read_past(net, levels, FRAMES)[3].sum().backward()
    gradient = net.frame_attention[-1].key.weight.grad  # type: ignore[union-attr]
    assert gradient is not None and gradient.any()  # type: ignore[operator]


@pytest.mark.parametrize("frames", [3, 4])
def test_a_clip_of_several_frames_gives_losses_that_reach_every_part(frames: int) -> None:
    net = small_net(small_config(train={"clip_frames": frames}))
    targets = [small_truth(3, 4 * age, seed=clip) for age in range(frames) for clip in range(2)]
    images = torch.cat([blocks(HEIGHT, WIDTH, seed=seed) for seed in range(2 * frames)])
    torch.manual_seed(0)
    losses = TrainingPass(net).train()(images, targets)
    losses.total().backward()
    idle = [n for n, p in net.named_parameters() if p.requires_grad and p.grad is None]
    assert torch.isfinite(losses.total()) and not idle


def test_frames_of_a_clip_lie_in_even_steps_before_the_key() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_past(20, 3, rng, frames=FRAMES) for _ in range(200)]
    steps = {tuple(-np.diff(numbers)) for numbers in drawn}
    assert steps == {(step,) * (FRAMES - 1) for step in (1, 2, 3)}
    assert {numbers[0] for numbers in drawn} == set(range(3, 21))
    assert min(map(min, drawn)) == 0


def test_of_a_clip_that_is_too_short_the_first_frame_is_repeated() -> None:
    rng = np.random.default_rng(0)
    assert draw_past(0, 3, rng, frames=FRAMES) == [0, 0, 0, 0]
    assert draw_past(2, 3, rng, frames=FRAMES) == [2, 1, 0, 0]
