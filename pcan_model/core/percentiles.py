"""Percentiles of measured times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


def percentiles(values: Iterable[float], percents: Sequence[float]) -> tuple[float, ...] | None:
    """Return percentiles with linear interpolation; None without values."""
    every = list(values)
    return tuple(float(p) for p in np.percentile(every, percents)) if every else None
