"""Choice of frames that are uncertain and different from each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pcan_model.ranking.signals import NAMES, Signals


def uncertainty(signals: Sequence[Signals]) -> NDArray[np.float64]:
    """Return one number per frame in [0, 1], (N,): the mean over the signals of the frame's rank in each.

    Ranks make signals of different units comparable; frames of equal value have the mean of their ranks. A
    signal that is the same in all frames has no effect.
    """
    values = np.array([each.values() for each in signals], np.float64).reshape(len(signals), len(NAMES))
    varied = values[:, (values != values[:1]).any(0)]
    if not varied.size:
        return np.zeros(len(signals))
    return np.mean([_ranks(column) for column in varied.T], axis=0)


def _ranks(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks of N > 1 values, from 0 for the lowest to 1 for the highest."""
    ordered = np.sort(column)
    low, high = (np.searchsorted(ordered, column, side=side) for side in ("left", "right"))
    return np.asarray((low + high - 1) / 2 / (len(column) - 1))


def choose(scores: NDArray[np.float64], features: NDArray[np.float64], count: int) -> list[int]:
    """Return up to `count` frames, the most useful first.

    Farthest-point sampling, weighted: the first is the most uncertain; each following one has the largest
    product of its uncertainty and its distance to the nearest of those chosen.

    scores    (N,)    uncertainty in [0, 1]
    features  (N, F)  what the frames show; standardised here
    """
    if not len(scores):
        return []
    spread = features.std(0)
    points = (features - features.mean(0)) / np.where(spread > 0, spread, 1)
    chosen = [int(scores.argmax())]
    nearest = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < min(count, len(scores)):
        useful = (scores + 1e-6) * (nearest + 1e-6)
        useful[chosen] = -1
        chosen.append(int(useful.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen
