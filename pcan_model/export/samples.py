"""Inputs of the passes in files, a camera each: what a quantiser is fed with."""

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
    """Inputs of one run of a pass; they are read only when asked for."""

    files: tuple[Path, ...]  # of arrays by input name, one of each camera

    def read(self) -> Arrays:
        """Return the arrays by input name; of several cameras as the graphs for them take them."""
        every = [_read(path) for path in self.files]
        return every[0] if len(every) == 1 else together(every)


def for_cameras(files: Sequence[Path], cameras: int) -> list[CalibrationSample]:
    """Let every camera be given every file, one after the other.

    The largest value that a layer sees is then that of a single camera, and so is its scale.
    """
    count = len(files)
    return [CalibrationSample(tuple(files[(i + n) % count] for n in range(cameras))) for i in range(count)]


def together(every: Sequence[Arrays]) -> Arrays:
    """Put what several cameras' passes were given into the inputs of one pass for all of them."""
    if "image" not in every[0]:
        parts = [_shifted(arrays, camera) for camera, arrays in enumerate(every)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    memories = {name: np.stack([arrays[name] for arrays in every]) for name in every[0]}
    images = np.concatenate([arrays["image"] for arrays in every])
    return memories | {"image": images, "remember": np.ones(len(every), np.float32)}


def _shifted(arrays: Arrays, camera: int) -> Arrays:
    """Count a camera's rows, of detections and of tracks, behind those of the cameras before it."""
    slot, owner = arrays["slot"], arrays["owner"]
    return arrays | {"slot": slot + camera * len(owner), "owner": owner + camera * len(slot)}


def _read(path: Path) -> Arrays:
    with np.load(path) as arrays:
        return dict(arrays)
