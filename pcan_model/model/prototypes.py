"""Prototypical cross-attention: the equations of PCAN sec. 3.2 and 3.3, and nothing else.

Decisions where the paper is silent:
- Keys are unit vectors (`unit_keys`). The variance is then dimensionless, and the default
  sigma^2 = 1/20 makes Eq. 3 the softmax of temperature 20 that the released code uses.
- A component that no position belongs to keeps its mean (an M step would divide 0 by 0).
- Eq. 4 is printed as a sum over all positions, which grows with the image; we divide by the
  responsibilities' total, so that a value prototype is a mean of values (as the released code does).
- Eq. 7 compares values by a raw dot product, which for C channels of unit variance is about C
  for the frame with itself and silences the memory; we scale by 1/sqrt(C) and a learned factor.
All functions compute in float32, whatever the dtype of the features, also under autocast.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import ParamSpec

import torch
from torch import Tensor
from torch.nn import functional

from pcan_model.model.recompute import recomputed

EPS = 1e-4  # weight of a component's old mean, which decides where no position belongs to it

P = ParamSpec("P")


def full_precision(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Disable autocast inside a function, so that matrix products keep the precision of its tensors."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        device = next(value.device.type for value in args if isinstance(value, Tensor))
        if not torch.is_autocast_enabled(device):  # the usual case; keeps autocast out of exports
            return function(*args, **kwargs)
        with torch.autocast(device, enabled=False):
            return function(*args, **kwargs)

    return wrapper


def unit_keys(keys: Tensor) -> Tensor:
    """Scale keys (..., D) to unit length; zero stays zero."""
    return functional.normalize(keys.float(), dim=-1)


@full_precision
def assign(keys: Tensor, mu: Tensor, sigma2: float) -> Tensor:
    """Posterior p(z = j | k) of the mixture with constant variance (Eq. 3).

    keys    (B, N, D)
    mu      (B, K, D)  component means
    returns (B, N, K)  rows sum to 1; |k|^2 is the same for every j and drops out
    """
    keys, mu = keys.float(), mu.float()
    logits = keys @ mu.mT - 0.5 * mu.square().sum(-1)[:, None]
    return torch.softmax(logits / sigma2, dim=-1)


@full_precision
def fit_prototypes(keys: Tensor, weight: Tensor | None, mu: Tensor, *, sigma2: float, steps: int) -> Tensor:
    """Condense features into K prototypes by EM (sec. 3.2, Eq. 2 and 3).

    keys    (B, N, D)  one row per position, N = H * W
    weight  (B, N)     weight of each position in [0, 1]; None: all 1
    mu      (B, K, D)  initial means
    returns (B, K, D)  component means
    """
    keys, mu = keys.float(), mu.float()
    w = None if weight is None else weight.float()[..., None]
    for _ in range(steps):
        mu = recomputed(partial(_em_step, sigma2=sigma2), keys, mu, *([] if w is None else [w]))
    return mu


def _em_step(keys: Tensor, mu: Tensor, w: Tensor | None = None, *, sigma2: float) -> Tensor:
    z = assign(keys, mu, sigma2)  # E step (B, N, K)
    if w is not None:
        z = z * w
    return (z.mT @ keys + EPS * mu) / (z.sum(1)[..., None] + EPS)  # M step


@full_precision
def value_prototypes(keys: Tensor, values: Tensor, mu: Tensor, sigma2: float) -> Tensor:
    """Return the mean value of each component (Eq. 4, normalised over the positions).

    keys    (B, N, D), values (B, N, C), mu (B, K, D)
    returns (B, K, C)
    """
    return recomputed(partial(_mean_values, sigma2=sigma2), keys, values.float(), mu)


def _mean_values(keys: Tensor, values: Tensor, mu: Tensor, *, sigma2: float) -> Tensor:
    z = assign(keys, mu, sigma2)
    return (z.mT @ values) / (z.sum(1)[..., None] + EPS)


@full_precision
def read_memory(
    queries: Tensor,
    value: Tensor,
    frames: tuple[Tensor, Tensor],
    valid: Tensor,
    *,
    sigma2: float,
    scale: Tensor | float,
) -> Tensor:
    """Read each memory frame and blend the readings with the current frame by similarity (Eq. 5 to 7).

    The readings are never stored: their products with the current value, and their weighted sum, are
    computed from the assignments, which have K numbers per position instead of C.

    queries  (B, N, D), value (B, N, C)  of the current frame, the term t^ = t of the sum
    frames   (B, T, K, D) and (B, T, K, C)  prototypes of T memory frames
    valid    (B, T)        1 where a memory frame exists, else 0
    scale    ()            factor of the dot products before the softmax
    returns  (B, N, C)
    """
    value = value.float()
    memory = [(mu, v.float()) for mu, v in zip(*(f.unbind(1) for f in frames), strict=True)]
    z = [assign(queries, mu, sigma2) for mu, _ in memory]  # T times (B, N, K)
    products = [recomputed(_dot_products, value, z_t, v) for z_t, (_, v) in zip(z, memory, strict=True)]
    absent = functional.pad((valid - 1) * 1e9, (1, 0))[..., None]
    similarity = torch.stack([value.square().sum(-1), *products], 1) * scale  # (B, 1 + T, N)
    weights = torch.softmax(similarity + absent, dim=1)[..., None].unbind(1)
    blended = weights[0] * value
    for weight, z_t, (_, v) in zip(weights[1:], z, memory, strict=True):
        blended = torch.baddbmm(blended, weight * z_t, v)
    return blended


def _dot_products(value: Tensor, z: Tensor, v: Tensor) -> Tensor:
    """Return dot products (B, N) of the current value (B, N, C) and the reading z @ v."""
    return (z * (value @ v.mT)).sum(-1)


def propagate(old: Tensor, new: Tensor, rate: float) -> Tensor:
    """Propagate a tracklet's prototypes to the next frame (Eq. 8), rate = lambda."""
    return (1 - rate) * old + rate * new
