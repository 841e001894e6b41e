"""An engine that keeps what went through it in the last frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.engine import Engine, EngineFacts, Image
from pcan_model.core.structures import Detections, Slots


class WatchedEngine(Engine):
    """Runs another engine, for one camera, and keeps the memory before and after the last frame.

    scores         of its detections, (N,)
    before, after  arrays of the memory by name, see `Engine.state_arrays`
    slots          of the last frame; None before the first
    """

    def __init__(self, engine: Engine) -> None:
        self._engine, self.config, self.camera_format = engine, engine.config, engine.camera_format
        self.scores: NDArray[np.float32] = np.zeros(0, np.float32)
        self.before: dict[str, NDArray[Any]] = {}
        self.after: dict[str, NDArray[Any]] = {}
        self.slots: Slots | None = None

    @property
    def facts(self) -> EngineFacts:
        """Return the description of the engine."""
        return self._engine.facts

    def start(self, camera: int = 0) -> Any:
        """Return the empty memory."""
        return self._engine.start(camera)

    def detect(self, image: Image, memory: Any) -> tuple[Detections, Any]:
        """Detect the objects in one image, and keep their scores; see `pcan_model.core.engine`."""
        found, features = self._engine.detect(image, memory)
        self.scores = found.scores
        return found, features

    def segment(
        self, features: Any, slots: Slots, memory: Any, *, remember: bool
    ) -> tuple[NDArray[np.float32], Any]:
        """Refine the masks, and keep the memory before and after; see `pcan_model.core.engine`."""
        logits, following = self._engine.segment(features, slots, memory, remember=remember)
        self.slots = slots
        self.before, self.after = (self._engine.state_arrays(each) for each in (memory, following))
        return logits, following
