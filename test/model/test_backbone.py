"""Backbones, the feature pyramid and loading of ImageNet weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v2, resnet50, resnet101

from pcan_model.core.config import BackboneConfig
from pcan_model.model.backbone import Backbone, Pyramid, load_imagenet

MOBILE = BackboneConfig(kind="mobilenet_v2", channels=16)


def pixels() -> torch.Tensor:
    return torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", ["mobilenet_v2", "resnet50"])
@pytest.mark.parametrize("separable", [False, True])
def test_the_pyramid_has_strides_4_to_32(kind: str, separable: bool) -> None:
    config = BackboneConfig(kind=kind, channels=16, separable=separable)
    backbone = Backbone(config).eval()
    levels = Pyramid(backbone.channels, config)(backbone(pixels()))
    assert [tuple(level.shape) for level in levels] == [(1, 16, 64 // s, 96 // s) for s in (4, 8, 16, 32)]


def test_the_stages_are_torchvisions_layers() -> None:
    torch.manual_seed(0)
    theirs = mobilenet_v2(weights=None).eval()
    backbone = Backbone(MOBILE).eval()
    load_imagenet(backbone, tensors_of(theirs))
    torch.testing.assert_close(backbone(pixels())[-1], theirs.features[:18](pixels()))


@pytest.mark.parametrize(("kind", "make"), [("resnet50", resnet50), ("resnet101", resnet101)])
def test_resnets_are_torchvisions_too(kind: str, make: Callable[..., nn.Module]) -> None:
    torch.manual_seed(0)
    theirs = make(weights=None).eval()
    backbone = Backbone(BackboneConfig(kind=kind, channels=16)).eval()  # type: ignore[arg-type]
    load_imagenet(backbone, tensors_of(theirs))
    layers = list(theirs.children())
    torch.testing.assert_close(backbone(pixels())[-1], nn.Sequential(*layers[:-2])(pixels()))


def test_caffes_resnet_halves_in_the_first_convolution_of_a_stage() -> None:
    stages = Backbone(BackboneConfig(kind="resnet50", channels=16, caffe=True)).stages
    strides = [[conv.stride for conv in (block.conv1, block.conv2)] for block in stages[1][:2]]  # type: ignore[index]
    assert strides == [[(2, 2), (1, 1)], [(1, 1), (1, 1)]]


def tensors_of(net: nn.Module) -> list[torch.Tensor]:
    return [t for name, t in net.state_dict().items() if not name.endswith("num_batches_tracked")]


def test_weights_that_do_not_fit_are_named() -> None:
    tensors = tensors_of(mobilenet_v2(weights=None))
    with pytest.raises(ValueError, match=r"stages\.0\.0\.1\.weight: expected \(32,\), got \(7,\)"):
        load_imagenet(Backbone(MOBILE), [tensors[0], torch.zeros(7), *tensors[2:]])
    with pytest.raises(ValueError, match=r"stages\.0\.0\.1\.bias: expected \d+ tensors, got 2"):
        load_imagenet(Backbone(MOBILE), tensors[:2])


def test_training_leaves_batch_statistics_and_frozen_stages_alone() -> None:
    backbone = Backbone(MOBILE).train()
    before = {name: value.clone() for name, value in backbone.named_buffers()}
    backbone(pixels())[-1].sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in backbone.named_buffers())
    learned = [p.grad is not None for p in backbone.stages[0].parameters()]
    assert not any(learned)
    assert all(p.grad is not None for stage in list(backbone.stages)[1:] for p in stage.parameters())


def test_a_finer_level_sees_the_coarser_ones_and_not_the_reverse() -> None:
    torch.manual_seed(0)
    pyramid = Pyramid([4, 4, 4, 4], MOBILE)
    stages = [torch.randn(1, 4, s, s) for s in (16, 8, 4, 2)]
    changed = [*stages[:3], stages[3] + 1]
    moved = [not torch.equal(a, b) for a, b in zip(pyramid(stages), pyramid(changed), strict=True)]
    assert moved == [True, True, True, True]
    changed = [stages[0] + 1, *stages[1:]]
    moved = [not torch.equal(a, b) for a, b in zip(pyramid(stages), pyramid(changed), strict=True)]
    assert moved == [True, False, False, False]
