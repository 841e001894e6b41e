"""The RoI heads: class and box, mask, appearance embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pcan_model.core.config import HeadConfig

STD = (0.1, 0.2)  # of the box head's offsets
ALIGNED = 16  # channels in a block of ONNX Runtime's convolutions with AVX-512


class BoxHead(nn.Module):
    """Two hidden layers, then class logits (the last class is background) and box offsets."""

    def __init__(self, channels: int, classes: int, config: HeadConfig) -> None:
        super().__init__()
        self.agnostic = config.class_agnostic
        hidden = config.box_channels
        self.hidden = nn.Sequential(
            nn.Linear(channels * config.box_size**2, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.logits = nn.Linear(hidden, classes + 1)
        self.offsets = nn.Linear(hidden, 4 if config.class_agnostic else 4 * classes)
        nn.init.normal_(self.logits.weight, std=0.01)
        nn.init.normal_(self.offsets.weight, std=0.001)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return (R, K + 1) logits and (R, K or 1, 4) offsets of RoI features (R, C, 7, 7)."""
        x = self.hidden(features.flatten(1))
        return self.logits(x), self.offsets(x).unflatten(1, (-1, 4))


class MaskHead(nn.Module):
    """The initial mask of each region: (R, C, S, S) -> (R, K or 1, 2S, 2S) logits."""

    def __init__(self, channels: int, classes: int, config: HeadConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(config.mask_layers)
        )
        self.upsample = nn.ConvTranspose2d(channels, channels, 2, stride=2)
        self.mask = nn.Conv2d(channels, 1 if config.class_agnostic else classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of logits per class."""
        for layer in self.layers:
            x = layer(x).relu()
        return upsampled_masks(self.upsample, self.mask, x)


class EmbeddingHead(nn.Module):
    """The appearance of each region, for quasi-dense matching: (R, C, 7, 7) -> (R, E)."""

    def __init__(self, channels: int, config: HeadConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(config.embed_layers):
            norm = nn.GroupNorm(min(32, channels // 4), channels)
            layers += [nn.Conv2d(channels, channels, 3, padding=1, bias=False), norm, nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        width = max(config.box_channels, config.embed_channels)
        self.hidden = nn.Linear(channels * config.box_size**2, width)
        self.embed = nn.Linear(width, config.embed_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return embeddings, not normalised."""
        embeds: Tensor = self.embed(self.hidden(self.layers(x).flatten(1)).relu())
        return embeds


def aligned(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a convolution, with repeated channels of weight 0 up to a multiple of ALIGNED input channels.

    ONNX Runtime computes a convolution of another number of channels at a third of the speed.
    """
    spare = -x.shape[1] % ALIGNED
    if not spare:
        return layer(x)
    weight = torch.cat([layer.weight, torch.zeros_like(layer.weight[:, :spare])], 1)
    return functional.conv2d(torch.cat([x, x[:, :spare]], 1), weight, layer.bias, padding=layer.padding)


def upsampled_masks(upsample: nn.ConvTranspose2d, mask: nn.Conv2d, x: Tensor) -> Tensor:
    """Return `mask(upsample(x).relu())`, (R, K, 2S, 2S), of features (R, C, S, S).

    upsample  2 x 2 with stride 2, so the four pixels of a cell depend on that cell only: they are computed
              as channels, and only the K logits of each are moved to their places
    mask      1 x 1
    """
    assert upsample.bias is not None and mask.bias is not None
    places = upsample.weight.permute(2, 3, 1, 0).flatten(0, 2)  # (4 * hidden, C)
    hidden = functional.conv2d(x, places[..., None, None], upsample.bias.repeat(4)).relu()
    each = torch.eye(4).to(x)[None, :, :, None] * mask.weight[:, None, None, :, 0, 0]  # (K, 4, 4, hidden)
    logits = functional.conv2d(hidden, each.flatten(0, 1).flatten(1)[..., None, None])
    if not (torch.compiler.is_exporting() or len(x)):  # pixel_shuffle has no gradient without regions
        return logits.reshape(0, len(mask.weight), 2 * x.shape[2], 2 * x.shape[3])
    return functional.pixel_shuffle(logits, 2) + mask.bias[:, None, None]


def choose(per_class: Tensor, labels: Tensor) -> Tensor:
    """Select each region's class from (R, K or 1, ...): (R, ...); by products, for export."""
    if per_class.shape[1] == 1:
        return per_class[:, 0]
    chosen = labels[:, None] == torch.arange(per_class.shape[1], device=labels.device)
    chosen = chosen.unflatten(1, (per_class.shape[1],) + (1,) * (per_class.dim() - 2))
    return (per_class * chosen).sum(1)
