"""Forward hooks that record a network's intermediate results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pcan_model.core.engine import Engine, Image
from pcan_model.core.structures import Detections, Slots
from pcan_model.released.engine import ReleasedEngine, ReleasedFeatures, ReleasedMemory


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """The last call of a module."""

    inputs: tuple[Any, ...]
    output: Any


class ModuleCalls:
    """Records the last call of each named module; delete an entry to detect the next call."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self.calls: dict[str, Call] = {}
        for name, module in modules.items():
            module.register_forward_hook(self._listener(name))

    def _listener(self, name: str) -> Any:
        def listen(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            self.calls[name] = Call(inputs, output)

        return listen

    def __getitem__(self, name: str) -> Call:
        return self.calls[name]


class RecordingEngine(Engine):
    """A released engine that records the last inputs and outputs exchanged with the tracker."""

    found: Detections
    slots: Slots
    masks: NDArray[np.float32]  # (N, 2S, 2S) logits returned to the tracker

    def __init__(self, engine: ReleasedEngine) -> None:
        self.engine, self.config = engine, engine.config
        net = engine.net
        self.calls = ModuleCalls(
            {
                "backbone": net.backbone,
                "pyramid": net.pyramid,
                "memory": net.frame_memory,
                "proposals": engine.frame_pass.propose,
                "boxes": net.box_head,
                "masks": net.mask_head,
                "refine": net.refine,
            }
        )

    def start(self, camera: int = 0) -> ReleasedMemory:
        """Return the memory of a camera before its first frame."""
        return self.engine.start()

    def detect(self, image: Image, memory: ReleasedMemory) -> tuple[Detections, ReleasedFeatures]:
        """Detect and record the detections."""
        self.found, features = self.engine.detect(image, memory)
        return self.found, features

    def segment(
        self, features: ReleasedFeatures, slots: Slots, memory: ReleasedMemory, *, remember: bool
    ) -> tuple[NDArray[np.float32], ReleasedMemory]:
        """Segment and record slots and masks."""
        self.slots = slots
        self.masks, following = self.engine.segment(features, slots, memory, remember=remember)
        return self.masks, following
