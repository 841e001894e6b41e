"""An engine with scripted detections, so that tests of the tracker need no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.config import Config, HeadConfig, InputConfig
from pcan_model.core.engine import Engine
from pcan_model.core.structures import Detections, Frame, Slots
from pcan_model.core.tracker_config import TrackerConfig

HEIGHT, WIDTH = 64, 96  # of the network input and, unless a test says otherwise, the camera
LOOKS = 16  # different appearances a script can use


@dataclass(frozen=True)
class Thing:
    """One object that the engine will find in one frame."""

    look: int  # appearance: equal looks match surely, different ones not at all
    box: tuple[float, float, float, float]  # x1 y1 x2 y2, network pixels
    score: float = 0.9
    label: int = 2

    def moved(self, x: float, y: float = 0.0) -> Thing:
        """Return the same object at another position."""
        x1, y1, x2, y2 = self.box
        return replace(self, box=(x1 + x, y1 + y, x2 + x, y2 + y))


@dataclass(frozen=True)
class Memory:
    """The memory of the scripted engine: frames seen, and the appearance that wrote each bank row."""

    frame: int
    bank: NDArray[np.int64]  # (M,) look, -1 where nothing was written


def small_config(**tracker: Any) -> Config:
    """Return a configuration of 8 padded detections and as many bank rows."""
    return Config(
        name="scripted",
        input=InputConfig(height=HEIGHT, width=WIDTH),
        heads=HeadConfig(detections=8),
        tracker=replace(TrackerConfig(capacity=8), **tracker),
    )


@dataclass
class ScriptedEngine(Engine):
    """Detects script[i] in frame i (nothing after its end); every mask fills its box."""

    script: Sequence[Sequence[Thing]]
    config: Config = field(default_factory=small_config)
    slots: list[Slots] = field(default_factory=list)  # as handed to each `segment`
    remembered: list[bool] = field(default_factory=list)
    strangers: int = 0  # times a detection read the row of something that looks different

    def start(self, camera: int = 0) -> Memory:
        return Memory(0, np.full(self.config.tracker.capacity, -1))

    def detect(self, image: NDArray[np.uint8], memory: Memory) -> tuple[Detections, Any]:
        size = self.config.input
        assert image.shape == (size.height, size.width, 3)
        things = self.script[memory.frame] if memory.frame < len(self.script) else ()
        order = sorted(range(len(things)), key=lambda i: -things[i].score)
        things = [things[i] for i in order]
        looks = np.array([t.look for t in things], np.int64)
        found = Detections(
            boxes=np.array([t.box for t in things], np.float32).reshape(-1, 4),
            scores=np.array([t.score for t in things], np.float32),
            labels=np.array([t.label for t in things], np.int64),
            embeds=np.eye(LOOKS, dtype=np.float32)[looks] * 10,
            rows=np.arange(len(things))[::-1].copy(),  # rows need not follow the scores
        )
        return found, looks[::-1]

    def segment(
        self, features: Any, slots: Slots, memory: Memory, *, remember: bool
    ) -> tuple[NDArray[np.float32], Any]:
        self.slots.append(slots)
        self.remembered.append(remember)
        bank = memory.bank.copy()
        for row in np.flatnonzero(slots.has):
            look, reads = features[slots.owner[row]], bank[slots.slot[slots.owner[row]]]
            if not slots.fresh[slots.owner[row]]:
                assert reads >= 0, "reads a row that nobody wrote"
                self.strangers += int(reads != look)
            bank[row] = look
        logits = np.full((self.config.heads.detections, 28, 28), 8, np.float32)
        return logits, Memory(memory.frame + 1, bank)


def blank(stamp: float, height: int = HEIGHT, width: int = WIDTH) -> Frame:
    """Return a grey image."""
    return Frame(np.full((height, width, 3), 127, np.uint8), stamp)
