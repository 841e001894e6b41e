"""Dump of a run's intermediate results under their recorded names, one .npz per frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from pcan_model.core.atomic_write import atomic_file
from pcan_model.core.config import Config, ConfigError, config_from_dict, config_to_dict
from pcan_model.model import checkpoint
from pcan_model.released.parity.recorder import record


def dump(
    images: Sequence[Path], weights: Path, out: Path, *, settings: Sequence[str] = (), double: bool = False
) -> Iterator[Path]:
    """Run the released variant on the images of a clip; yields the file of every frame.

    images    in order, or one .npy of them
    settings  changes to the checkpoint's configuration, `part.key=value`
    double    compute in float64
    """
    config = changed(checkpoint.load_header(weights)[0], settings)
    frames = record(read_images(images), config, weights, double=double)
    for number, arrays in enumerate(frames):
        path = out / f"frame{number}.npz"
        _write(path, arrays)
        yield path


def changed(config: Config, settings: Sequence[str]) -> Config:
    """Return the configuration with `part.key=value` applied; raises ConfigError."""
    values = config_to_dict(config)
    for setting in settings:
        path, equals, text = setting.partition("=")
        *parts, key = path.split(".")
        place: Any = values
        for part in parts:
            place = place.get(part) if isinstance(place, dict) else None
        if not equals or not isinstance(place, dict) or key not in place:
            raise ConfigError(f"--set {setting}: expected part.key=value of a known key")
        place[key] = yaml.safe_load(text)
    return config_from_dict(values, "--set")


def read_images(paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
    """Yield images as RGB; an .npy contains a clip (T, H, W, 3) in BGR."""
    for path in paths:
        images = np.load(path) if path.suffix == ".npy" else [cv2.imread(str(path))]
        for image in images:
            if image is None or image.ndim != 3:
                raise OSError(f"{path}: expected a colour image, or an .npy of (T, H, W, 3) uint8")
            yield np.ascontiguousarray(image[..., ::-1])


def _write(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write a frame's arrays."""
    with atomic_file(path, keep_suffix=True) as partial:
        np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]
