"""The released temporal segmentation head: masks refined by the region where their track was last matched."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pcan_model.core.config import Config
from pcan_model.model.instance_attention import SegmentationHead
from pcan_model.released.clustering import attend, fit_prototypes

COUNT_EPS = 1e-5  # of the mean over a foreground that may be empty


@dataclass(frozen=True, slots=True, eq=False)
class MaskedRegions:
    """R regions with the masks of their own classes; R may be 0."""

    features: Tensor  # (R, C, S, S) RoI features
    masks: Tensor  # (R, 2S, 2S) logits of the initial masks


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Prototypes of foreground and background: one pair as a start, or R of them."""

    foreground: Tensor  # (R or 1, K, C)
    background: Tensor  # (R or 1, K, C)

    def moved(self, newest: Contrast, rate: float) -> Contrast:
        """Return starts moved towards the mean of a frame's prototypes, not made unit again."""
        if not len(newest.foreground):
            return self
        pairs = ((self.foreground, newest.foreground), (self.background, newest.background))
        return Contrast(*(old.lerp(new.mean(0, keepdim=True), rate) for old, new in pairs))


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What R regions leave for the next refinement of their tracks: all of them that it looks at."""

    prototypes: Contrast  # (R, K, C) each, fitted to the region
    mean: Tensor  # (R, C, 1, 1) mean feature of the object
    mask: Tensor  # (R, 1, S, S) logits of the initial mask at the grid of the features


class InstancePrototypes(nn.Module):
    """EM over the foreground and the background of regions."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        part, channels = config.instance_attention, config.backbone.channels
        self.sigma2, self.steps = part.sigma2, part.em_steps
        for name, count in (("pos_mu", part.foreground), ("neg_mu", part.background)):
            self.register_buffer(name, functional.normalize(torch.randn(count, channels), dim=-1))

    def start(self) -> Contrast:
        """Return the stored prototypes that every EM starts from."""
        return Contrast(self.get_buffer("pos_mu")[None], self.get_buffer("neg_mu")[None])

    @torch.no_grad()
    def drift(self, newest: Contrast, rate: float) -> None:
        """Move the stored prototypes, as training does after each step."""
        moved = self.start().moved(newest, rate)
        self.get_buffer("pos_mu").copy_(moved.foreground[0])
        self.get_buffer("neg_mu").copy_(moved.background[0])

    @torch.no_grad()
    def forward(self, regions: MaskedRegions, start: Contrast) -> Contrast:
        """Fit each region's prototypes, inside and outside of its mask; no gradient passes the EM."""
        rows = regions.features.flatten(2).mT  # (R, S * S, C)
        inside = on_object(regions.masks).flatten(1).to(rows.dtype)
        halves = ((start.foreground, inside), (start.background, 1 - inside))
        fitted = [
            fit_prototypes(rows, weight, mu.expand(len(rows), -1, -1), sigma2=self.sigma2, steps=self.steps)
            for mu, weight in halves
        ]
        return Contrast(*fitted)


class RefineHead(nn.Module):
    """Two contrast maps, the initial mask and the reference's mean foreground to a final mask."""

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

        reference  where each track was last matched; the region itself where there is none
        start      prototypes that the EM starts from
        returns    (R, 2S, 2S) logits, and the R prototypes
        """
        return self.draw(self.recall(reference, start), current)

    def recall(self, regions: MaskedRegions, start: Contrast) -> Reference:
        """Return what regions leave for the next refinement of their tracks."""
        return Reference(self.prototypes(regions, start), mean_foreground(regions), half(regions.masks))

    def draw(self, reference: Reference, current: MaskedRegions) -> tuple[Tensor, Contrast]:
        """Refine masks by what is kept of each track; see `forward`."""
        fitted = self.prototypes(current, reference.prototypes)
        maps = contrast_maps(current.features, fitted)
        x = self.mix(torch.cat([current.features, maps, *self.masks_of(reference, current)], 1))
        logits: Tensor = self.head(x + self.reference(reference.mean))
        return logits, fitted


def current_mask(reference: Reference, current: MaskedRegions) -> list[Tensor]:
    """Return what the head sees of masks: the current region's own, (R, 1, S, S)."""
    return [half(current.masks)]


def both_masks(reference: Reference, current: MaskedRegions) -> list[Tensor]:
    """Return what the head sees of masks: the reference's and the current one, (R, 1, S, S) each."""
    return [reference.mask, half(current.masks)]


def half(masks: Tensor) -> Tensor:
    """Average mask logits (R, 2S, 2S) to the grid of the features, (R, 1, S, S)."""
    return functional.avg_pool2d(masks[:, None], 2)


def on_object(masks: Tensor) -> Tensor:
    """Say which cells (R, 1, S, S) lie on the object, by mask logits (R, 2S, 2S)."""
    return half(masks) >= 0


def mean_foreground(regions: MaskedRegions) -> Tensor:
    """Return the mean feature of each region's object, (R, C, 1, 1); 0 where there is none."""
    inside = on_object(regions.masks).to(regions.features.dtype)
    total = (regions.features * inside).sum((2, 3), keepdim=True)
    return total / (inside.sum((2, 3), keepdim=True) + COUNT_EPS)


def contrast_maps(features: Tensor, prototypes: Contrast) -> Tensor:
    """Return how much each cell looks like foreground and like background, (R, 2, S, S); they add to 1."""
    split = prototypes.foreground.shape[1]
    z = attend(features.flatten(2).mT, torch.cat([prototypes.foreground, prototypes.background], 1))
    maps = torch.stack([z[..., :split].sum(-1), z[..., split:].sum(-1)], 1)
    return maps.unflatten(-1, features.shape[-2:])
