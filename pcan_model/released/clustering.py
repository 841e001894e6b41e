"""EM of the released variant: dot products instead of distances, and unit-length prototypes."""

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
    weight   (B, N)     weight of each position; None: all 1
    mu       (B, K, C)  initial prototypes
    sigma2              1 / temperature
    returns  (B, K, C)  of unit length; 0 if all weights are 0
    Computes in the wider dtype of both, at least float32.
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
    """Return the assignment of positions to prototypes, (B, N, K), without the temperature."""
    features, mu = _wide(features, mu)
    return torch.softmax(features @ mu.mT, -1)


def _wide(features: Tensor, mu: Tensor) -> tuple[Tensor, Tensor]:
    """Convert both to a common dtype of at least float32, since fp16 underflows in small denominators."""
    kind = torch.promote_types(torch.promote_types(features.dtype, mu.dtype), torch.float32)
    return features.to(kind), mu.to(kind)


def _unit(rows: Tensor) -> Tensor:
    return rows / (EPS + rows.norm(dim=-1, keepdim=True))
