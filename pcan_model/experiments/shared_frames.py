"""Evaluation of several instance modules with a shared frame pass, which runs once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pcan_model.core.engine import Engine, Image
from pcan_model.core.structures import Detections, Slots
from pcan_model.data.clips import Clip
from pcan_model.evaluation.predict import predict_clip
from pcan_model.evaluation.predictions import ClipPredictions, collect_predictions
from pcan_model.inference.torch_engine import TorchEngine, TorchFeatures, TorchMemory
from pcan_model.tracking.tracker import Tracker


@dataclass(frozen=True, slots=True, eq=False)
class CountedMemory:
    """A memory with the number of frames processed."""

    frames: int
    memory: TorchMemory


class SharedFrames(Engine):
    """An engine that caches the outputs of the frame pass on a clip in a shared record.

    Engines with the same record must process the same clip and differ in their instance modules only,
    which do not affect the frame pass.
    """

    def __init__(self, engine: TorchEngine, record: list[tuple[Detections, TorchFeatures]]) -> None:
        self.config, self._engine, self._record = engine.config, engine, record

    def start(self, camera: int = 0) -> CountedMemory:
        """Return the empty memory of one camera, before the first frame."""
        return CountedMemory(0, self._engine.start())

    def detect(self, image: Image, memory: CountedMemory) -> tuple[Detections, TorchFeatures]:
        """Detect the objects in the clip's next image, letterboxed."""
        if memory.frames == len(self._record):
            self._record.append(self._engine.detect(image, memory.memory))
        found, features = self._record[memory.frames]
        return found, replace(features, memory=replace(features.memory, bank=memory.memory.bank))

    def segment(
        self, features: TorchFeatures, slots: Slots, memory: CountedMemory, *, remember: bool
    ) -> tuple[NDArray[np.float32], CountedMemory]:
        """Refine the masks by their tracks' prototypes; returns logits and the next memory."""
        logits, following = self._engine.segment(features, slots, memory.memory, remember=remember)
        return logits, CountedMemory(memory.frames + 1, following)


def predict_together(engines: Sequence[TorchEngine], clips: Sequence[Clip]) -> list[list[ClipPredictions]]:
    """Return each engine's predictions on all clips; engines may differ in the instance module only."""
    predicted: list[list[ClipPredictions]] = [[] for _ in engines]
    with tqdm(total=sum(map(len, clips)) * len(engines), unit="frame", desc="evaluate") as bar:
        for clip in clips:
            for own, one in zip(predicted, _predict(engines, clip, bar.update), strict=True):
                own.append(one)
    return predicted


def _predict(
    engines: Sequence[TorchEngine], clip: Clip, progress: Callable[[], object]
) -> Iterator[ClipPredictions]:
    record: list[tuple[Detections, TorchFeatures]] = []
    for engine in engines:
        yield collect_predictions(
            partial(predict_clip, Tracker(SharedFrames(engine, record))), clip, progress=progress
        )
