"""Memory for time in the backward pass: a computation keeps its arguments only, and is done again there."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def recomputed(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Return function(*tensors), whose inside is computed again for the gradients: the same numbers.

    The function may draw nothing at random. Where no gradient is asked for, and in an export, it is just
    called.
    """
    if not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return function(*tensors)
    return checkpoint(function, *tensors, use_reentrant=False, preserve_rng_state=False)
