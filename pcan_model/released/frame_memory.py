"""The released frame-level memory: a running mean of features per level, read through prototypes.

It has no weights and is used in inference only, not in the released training.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pcan_model.core.config import Config
from pcan_model.released.clustering import attend, fit_prototypes


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """State of the memory per attended level; empty before the first frame."""

    features: tuple[Tensor, ...] = ()  # (1, C, H / stride, W / stride) each, running mean of fused levels
    starts: tuple[Tensor, ...] = ()  # (1, K, C) each, initial prototypes of the next EM


class FrameMemory(nn.Module):
    """Fuses pyramid levels with the bank, before all heads."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        part, channels = config.frame_attention, config.backbone.channels
        self.config, self.released = part, config.released
        self.own = [level - 2 for level in part.levels] if part.enabled else []
        for level in part.levels:
            start = nn.functional.normalize(torch.randn(part.prototypes, channels), dim=-1)
            self.register_buffer(f"mu{level - 2}", start)

    def forward(self, levels: list[Tensor], bank: Bank) -> tuple[list[Tensor], Bank]:
        """Fuse the attended levels of P2..P5 (1, C, H / stride, W / stride) with the bank.

        returns  all levels, and the bank for the next frame
        """
        levels, bank = list(levels), bank if bank.features else self.first(levels)
        banks, following = [], []
        for i, features, start in zip(self.own, bank.features, bank.starts, strict=True):
            levels[i], features, start = self._read(levels[i], features, start)
            banks.append(features)
            following.append(start)
        return levels, Bank(tuple(banks), tuple(following))

    def first(self, levels: list[Tensor]) -> Bank:
        """Return the bank for the first frame: its own levels, and the stored initial prototypes."""
        starts = tuple(self.get_buffer(f"mu{i}")[None] for i in self.own)
        return Bank(tuple(levels[i] for i in self.own), starts)

    def _read(self, x: Tensor, old: Tensor, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the fused level, its new running mean and its new initial prototypes."""
        part, rates = self.config, self.released
        prototypes = fit_prototypes(old.flatten(2).mT, None, start, sigma2=part.sigma2, steps=part.em_steps)
        read = attend(x.flatten(2).mT, prototypes) @ prototypes  # (1, H * W, C)
        fused = x.lerp(read.mT.unflatten(-1, x.shape[-2:]), 1 - rates.own_share)
        return fused, old.lerp(fused, rates.bank_rate), start.lerp(prototypes, rates.start_rate)
