"""Instance-level prototypical cross-attention and the temporal segmentation head (sec. 3.3.2, Figure 3)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from pcan_model.core.config import InstanceAttentionConfig
from pcan_model.model.heads import aligned, upsampled_masks
from pcan_model.model.prototypes import assign, fit_prototypes, propagate, unit_keys


class InstanceAttention(nn.Module):
    """Contrastive foreground and background prototypes of each track, and how they refine its mask.

    Decisions where the paper is silent: foreground and background weights are the initial mask's
    probability and its complement inside the same RoI; the maps are read from the accumulated
    prototypes of Eq. 8 *after* this frame's update; the head's output is added to the initial
    mask's logits and starts at zero, so that it never begins worse than the initial mask.
    """

    def __init__(self, channels: int, config: InstanceAttentionConfig) -> None:
        super().__init__()
        self.sigma2, self.steps = config.sigma2, config.em_steps
        self.rate = {"none": 1.0, "initial": 0.0, "momentum": config.update_rate}[config.propagation]
        self.restart = config.propagation == "none"
        self.split = config.foreground
        count = config.foreground + config.background
        self.key = nn.Conv2d(channels, config.key_channels, 1)
        self.mu = nn.Parameter(unit_keys(torch.randn(count, config.key_channels)))
        self.head = SegmentationHead(channels + count + 1, channels, config.layers)

    def encode(self, features: Tensor) -> Tensor:
        """Return keys (R, S * S, D) of RoI features (R, C, S, S)."""
        return unit_keys(self.key(features).flatten(2).mT)

    def condense(self, keys: Tensor, mask: Tensor, start: Tensor) -> Tensor:
        """Fit an object's prototypes to one frame, foreground and background separately (Eq. 2 and 3).

        keys    (R, S * S, D)
        mask    (R, 2S, 2S)  logits of the initial mask
        start   (R, K, D)    initial means, foreground first
        returns (R, K, D)
        """
        inside = functional.avg_pool2d(mask.float().sigmoid()[:, None], 2).flatten(1)  # (R, S * S)
        halves = start.split([self.split, start.shape[1] - self.split], 1)
        fitted = [
            fit_prototypes(keys, weight, mu, sigma2=self.sigma2, steps=self.steps)
            for mu, weight in zip(halves, (inside, 1 - inside), strict=True)
            if mu.shape[1]
        ]
        return torch.cat(fitted, 1) if fitted else start

    def attend(self, keys: Tensor, prototypes: Tensor, size: torch.Size) -> Tensor:
        """Return attention maps (R, K, S, S), foreground and background separately (Eq. 3)."""
        halves = prototypes.split([self.split, prototypes.shape[1] - self.split], 1)
        maps = [assign(keys, mu, self.sigma2) for mu in halves if mu.shape[1]]
        empty = keys.new_zeros(*keys.shape[:2], 0)
        return torch.cat(maps or [empty], -1).mT.unflatten(-1, size)

    def forward(self, features: Tensor, mask: Tensor, bank: Tensor, fresh: Tensor) -> tuple[Tensor, Tensor]:
        """Refine masks by the accumulated appearance of each track.

        features (R, C, S, S)   RoI features of the current frame
        mask     (R, 2S, 2S)    logits of the initial mask
        bank     (R, K, D)      accumulated prototypes of the track; ignored where fresh
        fresh    (R,)           1 where the track begins in this frame
        returns  (R, 2S, 2S) logits of the final mask; (R, K, D) next accumulated prototypes (Eq. 8)
        """
        keys = self.encode(features)
        new = (torch.ones_like(fresh) if self.restart else fresh)[:, None, None] > 0
        start = torch.where(new, self.mu[None], bank)
        fitted = self.condense(keys, mask, start)
        accumulated = torch.where(new, fitted, propagate(start, fitted, self.rate))
        maps = self.attend(keys, accumulated, features.shape[-2:])
        coarse = functional.avg_pool2d(mask[:, None], 2)  # the initial mask on the RoI grid
        return mask + self.head(torch.cat([features, maps.to(features.dtype), coarse], 1)), accumulated


class NoInstanceAttention(InstanceAttention):
    """The module disabled (ablation): it keeps its weights, and returns masks and prototypes unchanged."""

    def forward(self, features: Tensor, mask: Tensor, bank: Tensor, fresh: Tensor) -> tuple[Tensor, Tensor]:
        """Return copies of the masks and the bank."""
        return mask.clone(), bank.clone()


def make_instance_attention(channels: int, config: InstanceAttentionConfig) -> InstanceAttention:
    """Build the module for RoI features of C channels."""
    return (InstanceAttention if config.enabled else NoInstanceAttention)(channels, config)


class SegmentationHead(nn.Module):
    """3x3 convolutions, upsampling by two, and a mask: (R, Cin, S, S) -> (R, 2S, 2S).

    The hidden layers use He initialisation. With torch's default the signal shrinks to a fiftieth, and
    before a last layer of zeros SGD then learns next to nothing.
    """

    def __init__(self, channels_in: int, channels: int, layers: int) -> None:
        super().__init__()
        sizes = [channels_in] + [channels] * layers
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(sizes))
        self.upsample = nn.ConvTranspose2d(channels, channels, 2, stride=2)
        self.mask = nn.Conv2d(channels, 1, 1)
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]
        nn.init.normal_(self.upsample.weight, std=(2 / channels) ** 0.5)  # a cell is a sum over C inputs
        nn.init.zeros_(self.mask.weight)
        nn.init.zeros_(self.mask.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of logits per RoI."""
        for layer in self.layers:
            x = aligned(layer, x).relu()  # type: ignore[arg-type]
        return upsampled_masks(self.upsample, self.mask, x)[:, 0]
