"""Numbers recorded from the released implementation; kept beside the repository, not inside."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

ROOT = Path(os.environ.get("PCAN_PARITY", Path(__file__).parents[3] / "shared" / "parity"))
FOLDER = ROOT / "unit"


def recorded(name: str) -> dict[str, Tensor]:
    """Return the arrays of one unit file, or skip the test."""
    path = FOLDER / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"no recorded outputs of the released code at {path} (set PCAN_PARITY)")
    with np.load(path) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays if arrays[key].dtype.kind != "U"}


def recorded_arrays(path: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a recorded file, such as e2e/clipA/frame0.npz, or skip the test."""
    with np.load(present(path)) as arrays:
        return dict(arrays)


def present(path: str) -> Path:
    """Return a file of the recorded numbers, or skip the test."""
    if not (ROOT / path).is_file():
        pytest.skip(f"no recorded outputs of the released code at {ROOT / path} (set PCAN_PARITY)")
    return ROOT / path


def recorded_clip() -> ModuleType:
    """Return the generator of the recorded clips, with make_clip (BGR) and ground_truth, or skip."""
    spec = importlib.util.spec_from_file_location("gen_clip", present("gen_clip.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def worst(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, float]:
    """Return the largest difference of each array, and print them all."""
    found = {}
    for name, expected in theirs.items():
        got = np.asarray(ours[name])
        assert got.shape == np.shape(expected), f"{name}: expected {np.shape(expected)}, got {got.shape}"
        difference = np.abs(got.astype(np.float64) - np.asarray(expected, np.float64))
        found[name] = float(difference.max(initial=0))
    print("\n".join(f"{name:32} {value:.1e}" for name, value in found.items()))
    return found
