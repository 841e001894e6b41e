"""Camera image to network input: resized in its proportions, normalised, padded with zeros."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcan_model.core.config import InputConfig
from pcan_model.sipmask.strides import MULTIPLE


@dataclass(frozen=True, slots=True)
class ImageFit:
    """How an image of some size fits the network input, top left."""

    source: tuple[int, int]  # (height, width) of the camera image
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
        """Resize a camera image (h, w, 3) uint8, any order of channels."""
        if image.shape[:2] != self.source:
            raise ValueError(f"ImageFit: image: expected {self.source}, got {image.shape[:2]}")
        height, width = self.size
        if self.size == self.source:
            return image
        return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def fit_image(source: tuple[int, ...], config: InputConfig) -> ImageFit:
    """Return how an image of (height, width) is resized, landscape or portrait."""
    height, width = source[:2]
    long, short = max(config.height, config.width), min(config.height, config.width)
    return ImageFit((height, width), min(long / max(height, width), short / min(height, width)))


def network_input(image: NDArray[np.uint8], config: InputConfig, *, bgr: bool) -> Tensor:
    """Return the network input of a resized image.

    image   (h, w, 3)        uint8 RGB
    bgr     whether the network takes the channels in the other order
    returns (1, 3, H, W)     float32 without the mean, in deviations; 0 right of and below the image
    """
    mean, std = np.array(config.mean, np.float32), np.array(config.std, np.float32)
    centred = (image.astype(np.float32) - mean) / std
    height, width = image.shape[:2]
    pixels = torch.from_numpy(centred).permute(2, 0, 1)[None]
    pixels = pixels.flip(1) if bgr else pixels
    return torch.nn.functional.pad(pixels, (0, -width % MULTIPLE, 0, -height % MULTIPLE))
