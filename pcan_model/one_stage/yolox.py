"""YOLOX-Nano: CSPDarknet, PAFPN and a decoupled head, all depthwise (Ge et al. 2021).

Batch normalisation is multiplied into the convolutions, as the published file has it, which takes BGR: the
first convolution's weights are turned around here, so that nobody has to turn images. Every module
registers its convolutions in the order in which they run, which is the order of that file.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDES = (8, 16, 32)  # of P3..P5
STEM = 16  # channels at half the image's size; each stage doubles them
STAGES = (1, 3, 3, 1)  # residual blocks of dark2..dark5
POOLS = (5, 9, 13)  # windows of the spatial pyramid pooling
PRIOR = -4.595  # bias of a score of 0.01


class Conv(nn.Module):
    """Convolution and SiLU; batch normalisation lies in the bias."""

    def __init__(
        self, channels_in: int, channels: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels_in, channels, kernel, stride=stride, padding=kernel // 2, groups=groups
        )
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same or half the size."""
        y = self.conv(x)
        return y * y.sigmoid()


class Depthwise(nn.Sequential):
    """A 3x3 convolution of each channel, then one across channels."""

    def __init__(self, channels_in: int, channels: int, *, stride: int = 1) -> None:
        super().__init__(
            Conv(channels_in, channels_in, 3, stride=stride, groups=channels_in),
            Conv(channels_in, channels, 1),
        )


class Block(nn.Module):
    """The blocks of a cross stage partial layer: 1x1, then depthwise 3x3, perhaps beside the input."""

    def __init__(self, channels: int, *, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.first, self.second = Conv(channels, channels, 1), Depthwise(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        y: Tensor = self.second(self.first(x))
        return y + x if self.residual else y


class PartialStage(nn.Module):
    """Cross stage partial layer: half of the channels go through the blocks, half around them."""

    def __init__(self, channels_in: int, channels: int, *, blocks: int = 1, residual: bool = False) -> None:
        super().__init__()
        half = channels // 2
        self.through, self.around = Conv(channels_in, half, 1), Conv(channels_in, half, 1)
        self.blocks = nn.Sequential(*(Block(half, residual=residual) for _ in range(blocks)))
        self.join = Conv(2 * half, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, H, W)."""
        through, around = self.through(x), self.around(x)
        joined: Tensor = self.join(torch.cat([self.blocks(through), around], 1))
        return joined


class PyramidPooling(nn.Module):
    """Maxima over growing windows beside each other, so that the coarsest cells see far."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = Conv(channels, channels // 2, 1)
        self.join = Conv(channels // 2 * (len(POOLS) + 1), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        x = self.reduce(x)
        pooled = [functional.max_pool2d(x, size, stride=1, padding=size // 2) for size in POOLS]
        joined: Tensor = self.join(torch.cat([x, *pooled], 1))
        return joined


class Darknet(nn.Module):
    """Image to features of strides 4, 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.channels = tuple(STEM * 2 ** (i + 1) for i in range(len(STAGES)))  # 32, 64, 128, 256
        self.stem = Conv(12, STEM, 3)
        self.stages = nn.ModuleList()
        for i, (channels, blocks) in enumerate(zip(self.channels, STAGES, strict=True)):
            last = i == len(STAGES) - 1
            parts: list[nn.Module] = [Depthwise(channels // 2, channels, stride=2)]
            if last:
                parts.append(PyramidPooling(channels))
            parts.append(PartialStage(channels, channels, blocks=blocks, residual=not last))
            self.stages.append(nn.Sequential(*parts))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return four levels of images (B, 3, H, W), RGB in 0..255, finest first."""
        x = self.stem(every_other(images))
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        return levels


def every_other(images: Tensor) -> Tensor:
    """Space to depth: images (B, 3, H, W) to (B, 12, H / 2, W / 2)."""
    return torch.cat([images[..., y::2, x::2] for x in range(2) for y in range(2)], 1)


class PathNetwork(nn.Module):
    """Path aggregation: coarse features are added on the way up, fine ones on the way down."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.lateral = Conv(coarse, middle, 1)
        self.up_middle = PartialStage(2 * middle, middle)
        self.reduce = Conv(middle, fine, 1)
        self.up_fine = PartialStage(2 * fine, fine)
        self.down_fine = Depthwise(fine, fine, stride=2)
        self.down_middle = PartialStage(2 * fine, middle)
        self.down_coarse = Depthwise(middle, middle, stride=2)
        self.coarse = PartialStage(2 * middle, coarse)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Return features of strides 8, 16, 32, with the channels of the levels given."""
        fine, middle, coarse = levels
        top = self.lateral(coarse)
        upper = self.reduce(self.up_middle(torch.cat([twice(top), middle], 1)))
        first = self.up_fine(torch.cat([twice(upper), fine], 1))
        second = self.down_middle(torch.cat([self.down_fine(first), upper], 1))
        third = self.coarse(torch.cat([self.down_coarse(second), top], 1))
        return [first, second, third]


def twice(x: Tensor) -> Tensor:
    """Upsample a map by two (nearest neighbour)."""
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


class LevelHead(nn.Module):
    """Class scores, box offsets and objectness of the cells of one level."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.class_layers = nn.Sequential(Depthwise(channels, channels), Depthwise(channels, channels))
        self.classes = nn.Conv2d(channels, classes, 1)
        self.box_layers = nn.Sequential(Depthwise(channels, channels), Depthwise(channels, channels))
        self.offsets = nn.Conv2d(channels, 4, 1)
        self.objectness = nn.Conv2d(channels, 1, 1)
        for layer in (self.classes, self.objectness):
            nn.init.constant_(layer.bias, PRIOR)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return class logits (B, K, H, W), offsets (B, 4, H, W), objectness logits (B, 1, H, W)."""
        scores = self.classes(self.class_layers(x))
        x = self.box_layers(x)
        return scores, self.offsets(x), self.objectness(x)
