"""Footage of coloured squares that move, for the stand-in network of support.squares."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from support.squares import pixels

FRAMES = 4


def drawn(index: int) -> NDArray[np.uint8]:
    """Return an image with a car and a pedestrian, RGB."""
    return pixels({2: (5 + 2 * index, 10), 0: (60, 20)})


def images() -> list[NDArray[np.uint8]]:
    """Return all images."""
    return [drawn(index) for index in range(FRAMES)]


def write_images(folder: Path, first: int = 0) -> Path:
    """Write the images as 000000.png and so on, and return their folder."""
    folder.mkdir(parents=True)
    for index, image in enumerate(images(), start=first):
        cv2.imwrite(str(folder / f"{index:06d}.png"), image[..., ::-1])
    return folder
