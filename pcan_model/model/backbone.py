"""Image to feature pyramid: torchvision's backbones and a feature pyramid network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import mobilenet_v2, resnet50, resnet101
from torchvision.models.resnet import Bottleneck, ResNet

from pcan_model.core.config import BackboneConfig


class Backbone(nn.Module):
    """The four stages C2..C5 (strides 4, 8, 16, 32) of a classification network.

    Batch normalisation is frozen to its stored statistics: image batches are too small to estimate them.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.stages, self.channels = MAKERS[config.kind]()
        if config.caffe:
            stride_first(self.stages)
        for stage in list(self.stages)[: config.frozen]:
            stage.requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return C2..C5 of normalised images (B, 3, H, W)."""
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return outputs

    def train(self, mode: bool = True) -> Backbone:
        """Set the training mode; batch normalisation stays in evaluation mode."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


def _resnet(make: Callable[..., ResNet]) -> tuple[nn.ModuleList, list[int]]:
    net = make(weights=None)
    stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, net.layer1)
    return nn.ModuleList([stem, net.layer2, net.layer3, net.layer4]), [256, 512, 1024, 2048]


def _mobilenet_v2() -> tuple[nn.ModuleList, list[int]]:
    """Omit the last 1x1 convolution, which only serves the ImageNet classifier."""
    layers = list(mobilenet_v2(weights=None).features)
    stages = [nn.Sequential(*layers[a:b]) for a, b in ((0, 4), (4, 7), (7, 14), (14, 18))]
    return nn.ModuleList(stages), [24, 32, 96, 320]


RESNETS: dict[str, Callable[..., ResNet]] = {"resnet50": resnet50, "resnet101": resnet101}
MAKERS: dict[str, Callable[[], tuple[nn.ModuleList, list[int]]]] = {
    **{kind: partial(_resnet, make) for kind, make in RESNETS.items()},
    "mobilenet_v2": _mobilenet_v2,
}


def stride_first(stages: nn.ModuleList) -> None:
    """Move the stride of each stage from its 3x3 convolution to the 1x1 before it, as Caffe has it."""
    for module in stages.modules():
        if isinstance(module, Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride


def conv3x3(channels_in: int, channels_out: int, separable: bool) -> nn.Module:
    """Return a 3x3 convolution, or its cheaper depthwise separable form."""
    if not separable:
        return nn.Conv2d(channels_in, channels_out, 3, padding=1)
    depthwise = nn.Conv2d(channels_in, channels_in, 3, padding=1, groups=channels_in, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(channels_in, channels_out, 1))


class Pyramid(nn.Module):
    """Feature pyramid P2..P5 with a top-down path (strides 4, 8, 16, 32)."""

    def __init__(self, channels_in: list[int], config: BackboneConfig) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, config.channels, 1) for c in channels_in)
        self.output = nn.ModuleList(
            conv3x3(config.channels, config.channels, config.separable) for _ in channels_in
        )

    def forward(self, stages: list[Tensor]) -> list[Tensor]:
        """Return P2..P5 (B, C, H / stride, W / stride) of C2..C5."""
        levels = [lateral(stage) for lateral, stage in zip(self.lateral, stages, strict=True)]
        for i in range(len(levels) - 1, 0, -1):
            above = functional.interpolate(levels[i], size=levels[i - 1].shape[-2:], mode="nearest")
            levels[i - 1] = levels[i - 1] + above
        return [output(level) for output, level in zip(self.output, levels, strict=True)]


def torchvision_names(kind: str) -> list[str]:
    """Return the names in torchvision's own state of a ResNet's tensors, less counters and classifier."""
    with torch.device("meta"):
        names = RESNETS[kind](weights=None).state_dict()
    return [name for name in names if not name.endswith("num_batches_tracked") and name[:3] != "fc."]


def load_imagenet(backbone: Backbone, tensors: list[Tensor]) -> None:
    """Copy ImageNet weights, in the order of torchvision's state_dict, into a backbone.

    tensors  values of the same network's state_dict without batch counters; extra ones at the end are ignored
    Raises ValueError naming the first tensor that is missing or has another shape.
    """
    names = [n for n in backbone.state_dict() if not n.endswith("num_batches_tracked")]
    state = backbone.state_dict()
    if len(tensors) < len(names):
        raise ValueError(f"{names[len(tensors)]}: expected {len(names)} tensors, got {len(tensors)}")
    for name, tensor in zip(names, tensors, strict=False):
        if state[name].shape != tensor.shape:
            raise ValueError(f"{name}: expected {tuple(state[name].shape)}, got {tuple(tensor.shape)}")
        state[name].copy_(torch.as_tensor(tensor))
