"""A stand-in device with its TensorRT, and image sequences of a camera for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from support.fake_cudart import FakeCudart
from support.fake_tensorrt import FakeTensorRt
from support.squares import pixels

from pcan_model.core.engine import Engine
from pcan_model.core.structures import Slots
from pcan_model.inference.manifest import ModelFiles
from pcan_model.inference.tensorrt.bindings import Bindings
from pcan_model.inference.tensorrt.engine import TensorRtEngine
from pcan_model.inference.tensorrt.engine_pair import Source

ROWS, TRACKS = 4, 8  # of the stand-in networks


@dataclass
class Bench:
    """A stand-in device with its TensorRT."""

    cache: Path
    cudart: FakeCudart = field(default_factory=FakeCudart)
    rtx: bool = False
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.trt = FakeTensorRt(self.cudart, rtx=self.rtx)

    def source(self, folder: Path) -> Source:
        bindings = Bindings("tensorrt_rtx" if self.rtx else "tensorrt", self.trt, self.cudart)
        return Source(ModelFiles(folder), bindings, self.cache, say=self.said.append)

    def engine(self, folder: Path) -> TensorRtEngine:
        return TensorRtEngine(self.source(folder))


class Drive:
    """A camera with random images and random slots, reproducible by its seed."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self._engine, self._random = engine, np.random.default_rng(seed)
        self.memory: Any = engine.start()
        self.following = self._draw()  # the image of the next look

    def _draw(self) -> np.ndarray:
        random = self._random
        squares = {label: (int(random.integers(70)), 10 + 12 * i) for i, label in enumerate((2, 7))}
        image = pixels(squares if random.random() < 0.8 else {})
        image[-4:] = random.integers(256)
        return image

    def look(self) -> list[np.ndarray]:
        """Process one frame and return all outputs."""
        random = self._random
        if random.random() < 0.02:
            self.memory = None
            self.memory = self._engine.start()
        image, self.following = self.following, self._draw()
        found, features = self._engine.detect(image, self.memory)
        slots = Slots(
            random.integers(TRACKS, size=ROWS),
            random.integers(2, size=ROWS).astype(np.float32),
            random.integers(ROWS, size=TRACKS),
            random.integers(2, size=TRACKS).astype(np.float32),
        )
        remember = bool(random.random() < 0.7)
        logits, self.memory = self._engine.segment(features, slots, self.memory, remember=remember)
        masks = logits[: len(found)] if len(found) else logits[:0]
        return [found.boxes, found.scores, found.labels, found.embeds, masks]


def nothing() -> Slots:
    return Slots(
        np.zeros(ROWS, np.int64), np.ones(ROWS, np.float32), np.zeros(TRACKS, np.int64),
        np.zeros(TRACKS, np.float32),
    )  # fmt: skip


def step(engine: Engine, memory: Any, image: np.ndarray | None = None) -> Any:
    """Process an image with one car and return the next memory."""
    _, features = engine.detect(pixels({2: (5, 10)}) if image is None else image, memory)
    return engine.segment(features, nothing(), memory, remember=True)[1]


def same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
