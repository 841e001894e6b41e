"""Cameran image to network input: resized in its proportions, mean subtracted, padded with zeros."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcan_model.sipmask.config import MULTIPLE, ImageConfig


@dataclass(frozen=True, slots=True)
class ImageFit:
    """How an image of some size fits the network input, top left."""

    source: tuple[int, int]  # (height, width) of the cameran image
    factor: float  # network pixels per camera pixel, before the sides are rounded

    def __post_init__(self) -> None:
        if min(self.source) <= 0 or not self.factor > 0:
            raise ValueError(f"ImageFit: expected sizes and factor > 0, got {self.source}, {self.factor}")

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of the resized image."""
        height, width = (max(1, int(side * self.factor + 0.5)) for side in self.source)
        return height, width

    @property
    def padded(self) -> tuple[int, int]:
        """Return (height, width) of the network input."""
        height, width = (side + -side % MULTIPLE for side in self.size)
        return height, width

    def resize(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize a cameran image (h, w, 3) uint8, any order of channels."""
        if image.shape[:2] != self.source:
            raise ValueError(f"ImageFit: image: expected {self.source}, got {image.shape[:2]}")
        height, width = self.size
        if self.size == self.source:
            return image
        return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def fit_image(source: tuple[int, ...], config: ImageConfig) -> ImageFit:
    """Return how an image of (height, width) fits, lying or standing."""
    height, width = source[:2]
    long, short = max(config.height, config.width), min(config.height, config.width)
    return ImageFit((height, width), min(long / max(height, width), short / min(height, width)))


def network_input(image: NDArray[np.uint8], mean: tuple[float, ...]) -> Tensor:
    """Return the network input of a resized image.

    image   (h, w, 3)        uint8 RGB
    mean    of RGB, 0 to 255
    returns (1, 3, H, W)     float32 BGR minus the mean, 0 right of and below the image
    """
    centred = image[..., ::-1].astype(np.float32) - np.array(mean[::-1], np.float32)
    height, width = image.shape[:2]
    pixels = torch.from_numpy(centred).permute(2, 0, 1)[None]
    return torch.nn.functional.pad(pixels, (0, -width % MULTIPLE, 0, -height % MULTIPLE))
