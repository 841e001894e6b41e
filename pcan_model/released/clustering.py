"""The released form's EM: a dot product where the paper has a distance, prototypes of unit length."""

from __future__ import annotations

import torch
from torch import Tensor

from pcan_model.model.prototypes import full_precision

EPS = 1e-6


@full_precision
def fit_prototypes(
    features: Tensor, weight: Tensor | None, mu: Tensor, *, sigma2: float, steps: int
) -> Tensor:
    """Condense features into K prototypes.

    features (B, N, C)  one row per position, of any length
    weight   (B, N)     how much each position counts; None: all count 1
    mu       (B, K, C)  prototypes to start from
    sigma2              1 / temperature
    returns  (B, K, C)  of unit length; 0 where no position counts
    Computes in the wider type of both, in float32 at least.
    """
    features, mu = _wide(features, mu)
    for _ in range(steps):
        z = torch.softmax(features @ mu.mT / sigma2, -1)  # (B, N, K)
        if weight is not None:
            z = z * weight[..., None]
        z = z / (EPS + z.sum(1, keepdim=True))
        mu = _unit(z.mT @ features)
    return mu


@full_precision
def attend(features: Tensor, mu: Tensor) -> Tensor:
    """Return how much each position belongs to each prototype, (B, N, K): without the temperature."""
    features, mu = _wide(features, mu)
    return torch.softmax(features @ mu.mT, -1)


def _wide(features: Tensor, mu: Tensor) -> tuple[Tensor, Tensor]:
    """Bring both to one type of 32 bits or more: those of 16 lose the small denominators."""
    kind = torch.promote_types(torch.promote_types(features.dtype, mu.dtype), torch.float32)
    return features.to(kind), mu.to(kind)


def _unit(rows: Tensor) -> Tensor:
    return rows / (EPS + rows.norm(dim=-1, keepdim=True))
