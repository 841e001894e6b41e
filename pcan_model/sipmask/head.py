"""The SipMask head: classes, boxes, centre-ness, mask coefficients and basis, and the tracking map."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pcan_model.core.sipmask_config import SipMaskConfig
from pcan_model.model.prototypes import at_least_float32
from pcan_model.sipmask.alignment import FeatureAlignment
from pcan_model.sipmask.strides import STRIDES

FINE = 3  # levels P3 to P5 that the basis and the tracking map are made of
QUADRANTS = 4  # of a box, each with its own coefficients
RARE = 0.01  # probability of a class that training starts from


@dataclass(frozen=True, slots=True, eq=False)
class HeadMaps:
    """Head outputs for B images: lists over P3 to P7, (h, w) of the level."""

    logits: list[Tensor]  # (B, classes, h, w)
    distances: list[Tensor]  # (B, 4, h, w) from the cell's point to left, top, right, bottom, pixels
    centres: list[Tensor]  # (B, 1, h, w) logits of centre-ness
    coefficients: list[Tensor]  # (B, 4 * basis, h, w) of the quadrants, upper left first
    basis: Tensor  # (B, basis, H / 2, W / 2)
    track: Tensor  # (B, embedding, H / 8, W / 8)

    def at_least_float32(self) -> HeadMaps:
        """Return the maps in float32, or as they are where their precision is higher."""
        lists = self.logits, self.distances, self.centres, self.coefficients
        logits, distances, centres, coefficients = ([at_least_float32(x) for x in maps] for maps in lists)
        basis, track = at_least_float32(self.basis), at_least_float32(self.track)
        return HeadMaps(logits, distances, centres, coefficients, basis, track)


class SipMaskHead(nn.Module):
    """One set of weights for all levels."""

    def __init__(self, classes: int, channels: int, config: SipMaskConfig) -> None:
        super().__init__()

        def tower(layers: int) -> nn.Sequential:
            return nn.Sequential(*(block(channels, config.norm_groups) for _ in range(layers)))

        self.box_bias = config.box_bias
        self.class_tower = tower(config.class_layers)
        self.box_tower = tower(config.box_layers)
        self.track_tower = tower(config.track_layers)
        self.align = FeatureAlignment(
            channels, offset_groups=config.alignment_groups, norm_groups=config.norm_groups
        )
        self.classes = nn.Conv2d(channels, classes, 3, padding=1)
        self.box = nn.Conv2d(channels, 4, 3, padding=1)
        self.centre = nn.Conv2d(channels, 1, 3, padding=1)
        self.coefficients = nn.Conv2d(channels, QUADRANTS * config.basis, 3, padding=1)
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(())) for _ in STRIDES)
        self.basis_hidden = nn.Conv2d(FINE * channels, config.hidden, 1)
        self.basis = nn.Conv2d(config.hidden, config.basis, 3, padding=1)
        self.track = nn.Conv2d(FINE * channels, config.embedding, 1)
        self._initialise()

    def forward(self, levels: list[Tensor], *, sampled: bool = False) -> HeadMaps:
        """Read P3 to P7 (B, C, h, w); returns at least float32, also under autocast.

        sampled  align by sampling, for runtimes without the operator
        """
        logits, distances, centres, coefficients, towers = [], [], [], [], []
        for level, scale, stride in zip(levels, self.scales, STRIDES, strict=True):
            tower = self.box_tower(level)
            distance = scale * self.box(tower)
            aligned = self.align(self.class_tower(level), distance, sampled=sampled)
            logits.append(self.classes(aligned))
            distances.append(distance * stride)
            centres.append(self.centre(tower))
            coefficients.append(self.coefficients(aligned))
            towers.append(tower)
        basis = self._basis(towers[:FINE])
        maps = HeadMaps(logits, distances, centres, coefficients, basis, self.track_map(levels))
        return maps.at_least_float32()

    def track_map(self, levels: list[Tensor]) -> Tensor:
        """Return the tracking map (B, embedding, H / 8, W / 8) of P3 to P5; further levels are not read."""
        return self.track(to_finest([self.track_tower(level) for level in levels[:FINE]]))

    def _basis(self, towers: list[Tensor]) -> Tensor:
        maps = torch.relu(self.basis(torch.relu(self.basis_hidden(to_finest(towers)))))
        return functional.interpolate(maps, scale_factor=4, mode="bilinear", align_corners=False)

    def _initialise(self) -> None:
        """Start as the public code does: normal weights of 0.01, no offsets, rare classes."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and name != "track":
                nn.init.normal_(module.weight, std=0.01)
                fill(module, 0.0)
        if self.align.offset is not None:
            nn.init.zeros_(self.align.offset.weight)
        fill(self.box, self.box_bias)
        fill(self.classes, -math.log(1 / RARE - 1))


def fill(conv: nn.Conv2d, value: float) -> None:
    """Set the bias of a convolution, if it has one."""
    if conv.bias is not None:
        nn.init.constant_(conv.bias, value)


def block(channels: int, groups: int) -> nn.Sequential:
    """Return a 3x3 convolution, group normalisation and ReLU."""
    conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.GroupNorm(groups, channels), nn.ReLU())


def to_finest(levels: list[Tensor]) -> Tensor:
    """Resize levels (B, C, h, w) bilinearly to the first one's size and join their channels."""
    size = levels[0].shape[-2:]
    resized = [functional.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in levels[1:]]
    return torch.cat([levels[0], *resized], 1)
