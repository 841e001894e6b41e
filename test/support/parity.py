"""Numbers recorded from the released implementation; kept beside the repository, not inside."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from support import shared
from support.shared import PARITY
from torch import Tensor

FOLDER = PARITY / "unit"


def recorded(name: str) -> dict[str, Tensor]:
    """Return the arrays of one unit file, or skip the test."""
    with np.load(shared.present(FOLDER / f"{name}.npz")) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays if arrays[key].dtype.kind != "U"}


def recorded_arrays(path: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a recorded file, such as e2e/clipA/frame0.npz, or skip the test."""
    with np.load(present(path)) as arrays:
        return dict(arrays)


def present(path: str) -> Path:
    """Return a file of the recorded numbers, or skip the test."""
    return shared.present(PARITY / path)


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
