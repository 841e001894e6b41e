"""Calibration samples: inputs of the passes, stored in one file per camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class CalibrationSample:
    """Inputs of one run of a pass, loaded on demand."""

    files: tuple[Path, ...]  # arrays by input name, one file per camera

    def read(self) -> Arrays:
        """Return the arrays by input name, batched over the cameras if there are several."""
        samples = [_read(path) for path in self.files]
        return samples[0] if len(samples) == 1 else batch(samples)


def for_cameras(files: Sequence[Path], cameras: int) -> list[CalibrationSample]:
    """Return samples in which every camera gets every file once.

    The range of a layer's values, and so its scale, is then that of a single camera.
    """
    count = len(files)
    return [CalibrationSample(tuple(files[(i + n) % count] for n in range(cameras))) for i in range(count)]


def batch(samples: Sequence[Arrays]) -> Arrays:
    """Combine the inputs of several cameras' passes into those of a batched pass."""
    if "image" not in samples[0]:
        parts = [_with_offset(arrays, camera) for camera, arrays in enumerate(samples)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    memories = {name: np.stack([arrays[name] for arrays in samples]) for name in samples[0]}
    images = np.concatenate([arrays["image"] for arrays in samples])
    return memories | {"image": images, "remember": np.ones(len(samples), np.float32)}


def _with_offset(arrays: Arrays, camera: int) -> Arrays:
    """Offset the indices of detections and tracks by the rows of the preceding cameras."""
    slot, owner = arrays["slot"], arrays["owner"]
    return arrays | {"slot": slot + camera * len(owner), "owner": owner + camera * len(slot)}


def _read(path: Path) -> Arrays:
    with np.load(path) as arrays:
        return dict(arrays)
