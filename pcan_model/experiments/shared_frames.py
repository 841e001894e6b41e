"""Several instance modules behind one frame pass, which is run once for all of them."""

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
class Place:
    """A memory that knows how many frames of the clip it has seen."""

    frames: int
    memory: TorchMemory


class SharedFrames(Engine):
    """An engine that looks up what the frame pass said of a clip, and runs it where nobody did before.

    Engines that share a record must differ in their instance modules only, and see the same clip; what
    the frame pass says does not depend on these modules.
    """

    def __init__(self, engine: TorchEngine, record: list[tuple[Detections, TorchFeatures]]) -> None:
        self.config, self._engine, self._record = engine.config, engine, record

    def start(self, camera: int = 0) -> Place:
        """Return the empty memory of one camera, before the first frame."""
        return Place(0, self._engine.start())

    def detect(self, image: Image, memory: Place) -> tuple[Detections, TorchFeatures]:
        """Find the objects of one letterboxed image, the clip's next."""
        if memory.frames == len(self._record):
            self._record.append(self._engine.detect(image, memory.memory))
        found, features = self._record[memory.frames]
        return found, replace(features, memory=replace(features.memory, bank=memory.memory.bank))

    def segment(
        self, features: TorchFeatures, slots: Slots, memory: Place, *, remember: bool
    ) -> tuple[NDArray[np.float32], Place]:
        """Refine the masks by the tracks' prototypes; return logits and the next memory."""
        logits, following = self._engine.segment(features, slots, memory.memory, remember=remember)
        return logits, Place(memory.frames + 1, following)


def answer_together(engines: Sequence[TorchEngine], clips: Sequence[Clip]) -> list[list[ClipPredictions]]:
    """Let each engine answer all clips; engines that differ in more than the instance module may not."""
    predicted: list[list[ClipPredictions]] = [[] for _ in engines]
    with tqdm(total=sum(map(len, clips)) * len(engines), unit="frame", desc="count") as bar:
        for clip in clips:
            for own, one in zip(predicted, _answers(engines, clip, bar.update), strict=True):
                own.append(one)
    return predicted


def _answers(
    engines: Sequence[TorchEngine], clip: Clip, progress: Callable[[], object]
) -> Iterator[ClipPredictions]:
    record: list[tuple[Detections, TorchFeatures]] = []
    for engine in engines:
        yield collect_predictions(
            partial(predict_clip, Tracker(SharedFrames(engine, record))), clip, progress=progress
        )
