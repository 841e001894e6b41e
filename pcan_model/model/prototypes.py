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

Rows (B, N, D) of positions are usually views of maps (B, D, N): products are written so that they read the
maps as they are, and sums over positions or channels are products with ones, because ONNX Runtime reduces
any axis but the last slowly.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from pcan_model.model.recompute import recomputed

EPS = 1e-4  # weight of a component's old mean, which decides where no position belongs to it
TINY = 1e-24  # least squared length of a key to be scaled to 1

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Disable autocast inside a function, so that matrix products keep the precision of its tensors."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        device = next(value.device.type for value in args if isinstance(value, Tensor))
        if not torch.is_autocast_enabled(device):  # the usual case; keeps autocast out of exports
            return function(*args, **kwargs)
        with torch.autocast(device, enabled=False):
            return function(*args, **kwargs)

    return wrapper


def at_least_float32(x: Tensor) -> Tensor:
    """Return x in float32, or as it is where its precision is higher."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def unit_keys(keys: Tensor) -> Tensor:
    """Scale keys (..., N, D) to unit length; zero stays zero."""
    columns = keys.float().mT
    return (columns / _squares(columns).clamp_min(TINY).sqrt()).mT


@full_precision
def assign(keys: Tensor, mu: Tensor, sigma2: float) -> Tensor:
    """Posterior p(z = j | k) of the mixture with constant variance (Eq. 3).

    keys    (B, N, D)
    mu      (B, K, D)  component means
    returns (B, N, K)  rows sum to 1; |k|^2 is the same for every j and drops out
    """
    return torch.softmax(_logits(keys.float(), mu.float(), sigma2), dim=-1)


def _logits(keys: Tensor, mu: Tensor, sigma2: float) -> Tensor:
    scaled = mu / sigma2
    return _plus_product(-0.5 * (mu * scaled).sum(-1)[:, None], keys, scaled.mT)


@full_precision
def fit_prototypes(keys: Tensor, weight: Tensor | None, mu: Tensor, *, sigma2: float, steps: int) -> Tensor:
    """Condense features into K prototypes by EM (sec. 3.2, Eq. 2 and 3).

    keys    (B, N, D)  one row per position, N = H * W
    weight  (B, N)     weight of each position in [0, 1]; None: all 1
    mu      (B, K, D)  initial means
    returns (B, K, D)  component means
    """
    keys, mu = keys.float(), mu.float()
    w = keys.new_ones(1, 1, keys.shape[1]) if weight is None else weight.float()[:, None]
    weighted = keys if weight is None else keys * w.mT
    for _ in range(steps):
        mu = recomputed(partial(_em_step, sigma2=sigma2), keys, mu, weighted, w)
    return mu


def _em_step(keys: Tensor, mu: Tensor, weighted: Tensor, w: Tensor, *, sigma2: float) -> Tensor:
    """Return the next means; `weighted` are the keys times w (B, 1, N)."""
    z = assign(keys, mu, sigma2)  # E step (B, N, K)
    return ((weighted.mT @ z).mT + EPS * mu) / ((w @ z).mT + EPS)  # M step


@full_precision
def value_prototypes(keys: Tensor, values: Tensor, mu: Tensor, sigma2: float) -> Tensor:
    """Return the mean value of each component (Eq. 4, normalised over the positions).

    keys    (B, N, D), values (B, N, C), mu (B, K, D)
    returns (B, K, C)
    """
    return recomputed(partial(_mean_values, sigma2=sigma2), keys, values.float(), mu)


def _mean_values(keys: Tensor, values: Tensor, mu: Tensor, *, sigma2: float) -> Tensor:
    z = assign(keys, mu, sigma2)
    total = z.new_ones(1, 1, z.shape[1]) @ z
    return ((values.mT @ z) / (total + EPS)).mT


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
    mu, memory = (part.float().flatten(1, 2) for part in frames)
    columns = value.float().mT  # (B, C, N)
    per_frame = frames[0].shape[1:3]
    z = torch.softmax(_logits(queries.float(), mu, sigma2).unflatten(-1, per_frame), -1)  # (B, N, T, K)
    products = recomputed(_dot_products, columns, z, memory)
    absent = functional.pad((valid - 1) * 1e9, (1, 0))[:, None]
    similarity = torch.cat([_squares(columns).mT, products], -1) * scale  # (B, N, 1 + T)
    own, others = torch.softmax(similarity + absent, dim=-1).split([1, z.shape[2]], -1)
    z = (others[..., None] * z).flatten(2)
    return _plus_product(own.mT * columns, memory.mT, z.mT).mT


def _dot_products(columns: Tensor, z: Tensor, memory: Tensor) -> Tensor:
    """Return dot products (B, N, T) of the current values (B, C, N) and each frame's reading, z @ memory."""
    return (z * (columns.mT @ memory.mT).unflatten(-1, z.shape[2:])).sum(-1)


def _squares(columns: Tensor) -> Tensor:
    """Return the squared length (..., 1, N) of columns (..., D, N)."""
    return columns.new_ones(1, columns.shape[-2]) @ (columns * columns)


def _plus_product(start: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return start + a @ b, batches (B, ...) of matrices; of one matrix as a single operator in exports."""
    batch = a.shape[0]
    if isinstance(batch, int) and batch == 1:  # an export may not know the batch
        return torch.addmm(start[0], a[0], b[0])[None]
    return torch.baddbmm(start, a, b)


def propagate(old: Tensor, new: Tensor, rate: float) -> Tensor:
    """Propagate a tracklet's prototypes to the next frame (Eq. 8), rate = lambda."""
    return (1 - rate) * old + rate * new
