"""Activation checkpointing: only arguments are stored, and the rest is recomputed in the backward pass."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def recomputed(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Return function(*tensors), recomputing its intermediate results for the gradients.

    The function must be deterministic. Without gradients and during export it is simply called.
    """
    if not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return function(*tensors)
    return checkpoint(function, *tensors, use_reentrant=False, preserve_rng_state=False)
