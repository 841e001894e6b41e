"""The released temporal segmentation head, which refines masks by their track's last matched region."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pcan_model.core.config import Config
from pcan_model.model.instance_attention import SegmentationHead
from pcan_model.released.clustering import attend, fit_prototypes

COUNT_EPS = 1e-5  # avoids division by zero for an empty foreground


@dataclass(frozen=True, slots=True, eq=False)
class MaskedRegions:
    """R regions with the masks of their classes; R may be 0."""

    features: Tensor  # (R, C, S, S) RoI features
    masks: Tensor  # (R, 2S, 2S) logits of the initial masks


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Foreground and background prototypes: initial ones, or those of R regions."""

    foreground: Tensor  # (R or 1, K, C)
    background: Tensor  # (R or 1, K, C)

    def moved(self, newest: Contrast, rate: float) -> Contrast:
        """Return these moved towards the mean of a frame's prototypes, without renormalisation."""
        if not len(newest.foreground):
            return self
        pairs = ((self.foreground, newest.foreground), (self.background, newest.background))
        return Contrast(*(old.lerp(new.mean(0, keepdim=True), rate) for old, new in pairs))


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Summary of R regions for the next refinement of their tracks."""

    prototypes: Contrast  # (R, K, C) each, fitted to the region
    mean: Tensor  # (R, C, 1, 1) mean feature of the object
    mask: Tensor  # (R, 1, S, S) logits of the initial mask on the feature grid


class InstancePrototypes(nn.Module):
    """EM on the foreground and the background of regions."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        part, channels = config.instance_attention, config.backbone.channels
        self.sigma2, self.steps = part.sigma2, part.em_steps
        for name, count in (("pos_mu", part.foreground), ("neg_mu", part.background)):
            self.register_buffer(name, functional.normalize(torch.randn(count, channels), dim=-1))

    def start(self) -> Contrast:
        """Return the stored initial prototypes."""
        return Contrast(self.get_buffer("pos_mu")[None], self.get_buffer("neg_mu")[None])

    @torch.no_grad()
    def drift(self, newest: Contrast, rate: float) -> None:
        """Update the stored prototypes, as after each training step."""
        moved = self.start().moved(newest, rate)
        self.get_buffer("pos_mu").copy_(moved.foreground[0])
        self.get_buffer("neg_mu").copy_(moved.background[0])

    @torch.no_grad()
    def forward(self, regions: MaskedRegions, start: Contrast) -> Contrast:
        """Fit each region's prototypes inside and outside its mask, without gradients."""
        rows = regions.features.flatten(2).mT  # (R, S * S, C)
        inside = on_object(regions.masks).flatten(1).to(rows.dtype)
        halves = ((start.foreground, inside), (start.background, 1 - inside))
        fitted = [
            fit_prototypes(rows, weight, mu.expand(len(rows), -1, -1), sigma2=self.sigma2, steps=self.steps)
            for mu, weight in halves
        ]
        return Contrast(*fitted)


class RefineHead(nn.Module):
    """Maps two contrast maps, the initial mask and the reference's mean foreground to a final mask."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels = config.backbone.channels
        self.masks_of = both_masks if config.released.reference_mask else current_mask
        self.prototypes = InstancePrototypes(config)
        self.mix = nn.Conv2d(channels + 3 + config.released.reference_mask, channels, 3, padding=1)
        self.reference = nn.Conv2d(channels, channels, 1)
        self.head = SegmentationHead(channels, channels, config.instance_attention.layers)

    def forward(
        self, reference: MaskedRegions, current: MaskedRegions, start: Contrast
    ) -> tuple[Tensor, Contrast]:
        """Refine the masks of R regions.

        reference  last matched region of each track, or the region itself if new
        start      initial prototypes
        returns    (R, 2S, 2S) logits, and the R prototypes
        """
        return self.decode_masks(self.encode_reference(reference, start), current)

    def encode_reference(self, regions: MaskedRegions, start: Contrast) -> Reference:
        """Summarise regions for the next refinement of their tracks."""
        return Reference(self.prototypes(regions, start), mean_foreground(regions), half(regions.masks))

    def decode_masks(self, reference: Reference, current: MaskedRegions) -> tuple[Tensor, Contrast]:
        """Refine masks by the summaries of their tracks; see `forward`."""
        fitted = self.prototypes(current, reference.prototypes)
        maps = contrast_maps(current.features, fitted)
        x = self.mix(torch.cat([current.features, maps, *self.masks_of(reference, current)], 1))
        logits: Tensor = self.head(x + self.reference(reference.mean))
        return logits, fitted


def current_mask(reference: Reference, current: MaskedRegions) -> list[Tensor]:
    """Return the mask input of the head: the current mask, (R, 1, S, S)."""
    return [half(current.masks)]


def both_masks(reference: Reference, current: MaskedRegions) -> list[Tensor]:
    """Return the mask inputs of the head: the reference's and the current mask, (R, 1, S, S) each."""
    return [reference.mask, half(current.masks)]


def half(masks: Tensor) -> Tensor:
    """Average mask logits (R, 2S, 2S) to the feature grid, (R, 1, S, S)."""
    return functional.avg_pool2d(masks[:, None], 2)


def on_object(masks: Tensor) -> Tensor:
    """Return which cells (R, 1, S, S) are on the object, from mask logits (R, 2S, 2S)."""
    return half(masks) >= 0


def mean_foreground(regions: MaskedRegions) -> Tensor:
    """Return the mean feature of each region's object, (R, C, 1, 1); 0 if the mask is empty."""
    inside = on_object(regions.masks).to(regions.features.dtype)
    total = (regions.features * inside).sum((2, 3), keepdim=True)
    return total / (inside.sum((2, 3), keepdim=True) + COUNT_EPS)


def contrast_maps(features: Tensor, prototypes: Contrast) -> Tensor:
    """Return the foreground and background probability of each cell, (R, 2, S, S)."""
    split = prototypes.foreground.shape[1]
    z = attend(features.flatten(2).mT, torch.cat([prototypes.foreground, prototypes.background], 1))
    maps = torch.stack([z[..., :split].sum(-1), z[..., split:].sum(-1)], 1)
    return maps.unflatten(-1, features.shape[-2:])
