"""Similarity of appearance embeddings."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

OUT_OF_REACH = np.float32(-1e9)  # a logit that contributes nothing to a softmax


def bisoftmax(
    a: NDArray[np.float32], b: NDArray[np.float32], reach: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Return the mean of both softmaxes of the dot products, (N, M): high where both agree.

    a (N, D), b (M, D)  embeddings, not normalised
    reach (N, M)        pairs that compete; None: all
    """
    logits = _logits(a, b, reach)
    return cast(NDArray[np.float32], (_softmax(logits, 1) + _softmax(logits, 0)) / 2)


def softmax(
    a: NDArray[np.float32], b: NDArray[np.float32], reach: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Return the softmax of the dot products over the candidates in reach, (N, M)."""
    return _softmax(_logits(a, b, reach), 1)


def cosine(
    a: NDArray[np.float32], b: NDArray[np.float32], reach: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Return the cosine similarity of embeddings, (N, M); ignores `reach`."""
    a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b))
    return cast(NDArray[np.float32], a @ b.T)


APPEARANCE = {"bisoftmax": bisoftmax, "softmax": softmax, "cosine": cosine}


def _logits(
    a: NDArray[np.float32], b: NDArray[np.float32], reach: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    logits = a @ b.T
    return logits if reach is None else np.where(reach, logits, OUT_OF_REACH)


def _softmax(logits: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    raised = np.exp(logits - logits.max(axis, keepdims=True))
    return cast(NDArray[np.float32], raised / raised.sum(axis, keepdims=True))
