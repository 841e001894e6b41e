"""Numbers recorded from the released implementation; kept beside the repository, not inside."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

FOLDER = Path(os.environ.get("PCAN_PARITY", Path(__file__).parents[3] / "shared" / "parity")) / "unit"


def recorded(name: str) -> dict[str, Tensor]:
    """Return the arrays of one unit file, or skip the test."""
    path = FOLDER / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"no recorded outputs of the released code at {path} (set PCAN_PARITY)")
    with np.load(path) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}
