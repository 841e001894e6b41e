"""A number of moving objects for benchmarks, with the real network or without one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.config import Config
from pcan_model.core.engine import Engine
from pcan_model.core.structures import Detections, Slots
from pcan_model.inference.host_engine import HostEngine, HostFeatures, HostMemory

SIZE = (384, 640)  # height and width of camera and network input, pixels
SPEED = 3  # pixels by which image and objects move from one image to the next


def images() -> Iterator[NDArray[np.uint8]]:
    """Yield a soft random texture that moves to the right for 64 images, and again from the start."""
    coarse = np.random.default_rng(0).integers(0, 255, (SIZE[0] // 8, SIZE[1] // 8 + 32, 3), np.uint8)
    wide = cv2.resize(coarse, (SIZE[1] + 256, SIZE[0]), interpolation=cv2.INTER_CUBIC)
    while True:
        for step in range(64):
            left = 256 - SPEED * step
            yield np.ascontiguousarray(wide[:, left : left + SIZE[1]])


def planted_boxes(count: int, step: int) -> NDArray[np.float32]:
    """Return boxes of 24 x 24 pixels on a grid, (count, 4), moved by `step` images."""
    index = np.arange(count)
    centres = np.stack([20 + 40 * (index % 10) + SPEED * (step % 64), 19 + 38 * (index // 10)], 1)
    return np.concatenate([centres - 12, centres + 12], 1).astype(np.float32)


class Planted(Engine):
    """The real network, whose detections are replaced by a number of moving objects."""

    def __init__(self, engine: HostEngine, count: int) -> None:
        self._engine, self.config, self._count = engine, engine.config, count
        self.step = 0  # images before the next one
        self.spent = dict[str, float]()  # CPU seconds of both passes in the last key frame
        random = np.random.default_rng(1)
        channels = engine.config.heads.embed_channels
        self._embeds = random.normal(size=(count, channels)).astype(np.float32) * 3

    def start(self, camera: int = 0) -> HostMemory:
        """Return the empty memory."""
        return self._engine.start()

    def detect(self, image: NDArray[np.uint8], memory: HostMemory) -> tuple[Detections, HostFeatures]:
        """Run the frame pass and return the planted objects."""
        began = time.process_time()
        _, features = self._engine.detect(image, memory)
        self.spent["detect"] = time.process_time() - began
        rows, boxes = np.arange(self._count), planted_boxes(self._count, self.step)
        scores = np.linspace(0.95, 0.9, self._count, dtype=np.float32)
        padded = np.zeros((self.config.heads.detections, 4), np.float32)
        padded[rows] = boxes
        regions = (*features.regions[:-2], padded, np.zeros(len(padded), np.int64))
        found = Detections(boxes, scores, rows % 8, self._embeds, rows)
        return found, replace(features, regions=regions, count=self._count)

    def segment(
        self, features: HostFeatures, slots: Slots, memory: HostMemory, *, remember: bool
    ) -> tuple[NDArray[np.float32], HostMemory]:
        """Run the instance pass and return masks that fill the boxes."""
        began = time.process_time()
        logits, after = self._engine.segment(features, slots, memory, remember=remember)
        self.spent["segment"] = time.process_time() - began
        return np.full_like(logits, 6.0), after


class WithoutNetwork(Engine):
    """Objects that come and go, each for a number of images; no network runs."""

    def __init__(self, config: Config, count: int, life: int) -> None:
        self.config, self._count, self._life = config, count, life
        self.step = 0  # images before the next one

    def start(self, camera: int = 0) -> None:
        """Return no memory."""

    def detect(self, image: NDArray[np.uint8], memory: None) -> tuple[Detections, None]:
        """Return the objects of this image; every few images another one is new."""
        rows = np.arange(self._count)
        passed = (self.step + rows * self._life // self._count) // self._life  # objects before, by row
        channels = self.config.heads.embed_channels
        embeds = [
            np.random.default_rng(pair).normal(size=channels) for pair in zip(rows, passed, strict=True)
        ]
        scores, boxes = np.full(self._count, 0.9, np.float32), planted_boxes(self._count, self.step)
        return Detections(boxes, scores, rows % 8, 3 * np.array(embeds, np.float32), rows), None

    def segment(
        self, features: None, slots: Slots, memory: None, *, remember: bool
    ) -> tuple[NDArray[np.float32], None]:
        """Return masks that fill the boxes."""
        return np.full((self.config.heads.detections, 28, 28), 6.0, np.float32), None
