"""Reference implementation of the released EM with scalar loops."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def slow_fit(features: Tensor, weight: Tensor | None, mu: Tensor, temperature: float, steps: int) -> Tensor:
    """Run the EM of one region with scalar loops, in float64."""
    x, means = features.double().numpy(), mu.double().numpy()
    counts = np.ones(len(x)) if weight is None else weight.double().numpy()
    for _ in range(steps):
        z = np.zeros((len(x), len(means)))
        for n, row in enumerate(x):
            raised = [np.exp(temperature * sum(row[c] * m[c] for c in range(len(row)))) for m in means]
            for k in range(len(means)):
                z[n, k] = counts[n] * raised[k] / sum(raised)
        new = np.zeros_like(means)
        for k in range(len(means)):
            total = 1e-6 + sum(z[:, k])
            for c in range(x.shape[1]):
                new[k, c] = sum(x[n, c] * z[n, k] / total for n in range(len(x)))
            new[k] /= 1e-6 + np.sqrt(sum(v * v for v in new[k]))
        means = new
    return torch.from_numpy(means).float()
