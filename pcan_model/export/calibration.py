"""Calibration data: inputs of both passes recorded while tracking, from which scales are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.engine import CameraFormat, Engine, Image
from pcan_model.core.geometry import Letterbox
from pcan_model.core.stamps import seconds
from pcan_model.core.structures import Detections, Frame, Slots
from pcan_model.data.clips import Clip, ClipFrame
from pcan_model.data.registry import open_clips
from pcan_model.data.sources import split_name, split_videos
from pcan_model.inference.torch_engine import TorchEngine, TorchFeatures, TorchMemory
from pcan_model.model.pass_names import SLOTS
from pcan_model.tracking.tracker import Tracker

STRETCH = 4  # consecutive frames, so that memories are empty, partly full and full
Progress = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Samples:
    """Inputs of both passes in files, each with arrays by input name."""

    frame: tuple[Path, ...]
    instance: tuple[Path, ...]


class InputRecorder(Engine):
    """An engine that records the inputs of another."""

    def __init__(self, engine: TorchEngine, folder: Path) -> None:
        self._engine, self._folder = engine, folder
        self.config, self.camera_format = engine.config, engine.camera_format
        self._written: dict[str, list[Path]] = {"frame": [], "instance": []}

    @property
    def samples(self) -> Samples:
        """Return the samples written so far."""
        return Samples(tuple(self._written["frame"]), tuple(self._written["instance"]))

    def start(self, camera: int = 0) -> TorchMemory:
        """Return the empty memory of the wrapped engine."""
        return self._engine.start()

    def detect(self, image: Image, memory: TorchMemory) -> tuple[Detections, TorchFeatures]:
        """Record the image and the frame memory; see `pcan_model.core.engine`."""
        self._write("frame", (image[None], *memory.frames))
        return self._engine.detect(image, memory)

    def segment(
        self, features: TorchFeatures, slots: Slots, memory: TorchMemory, *, remember: bool
    ) -> tuple[NDArray[np.float32], TorchMemory]:
        """Record RoI features, bank and slots; see `pcan_model.core.engine`."""
        if slots.has.any():  # else the pass is skipped
            bookkeeping = (getattr(slots, name) for name in SLOTS)
            self._write("instance", (*features.features, *memory.bank, *bookkeeping))
        return self._engine.segment(features, slots, memory, remember=remember)

    def _write(self, network: str, values: Sequence[Any]) -> None:
        names = self._engine.signature.inputs[network]
        path = self._folder / f"{network}{len(self._written[network]):04}.npz"
        arrays: dict[str, Any] = dict(zip(names, map(np.asarray, values), strict=True))
        np.savez(path, **arrays)
        self._written[network].append(path)


def record(
    engine: TorchEngine,
    clips: Sequence[Clip],
    folder: Path,
    *,
    frames: int,
    progress: Progress = lambda: None,
) -> Samples:
    """Track short stretches spread evenly over the clips, and record the inputs of both passes.

    frames  approximate total number
    """
    recorder = InputRecorder(engine, folder)
    tracker = Tracker(recorder)
    for clip, starts in zip(clips, stretches([len(clip) for clip in clips], frames), strict=True):
        for start in starts:
            state = tracker.start()
            for index in range(start, min(start + STRETCH, len(clip))):
                frame = clip.read(index)
                state, _ = tracker.step(state, Frame(frame.image, seconds(frame.time)))
                progress()
    return recorder.samples


def stretches(lengths: Sequence[int], frames: int) -> Iterator[tuple[int, ...]]:
    """Yield the first frames of each clip's stretches.

    lengths  of the clips, in frames
    frames   approximate total number; every clip has at least one stretch
    """
    each = max(1, round(frames / STRETCH / max(1, len(lengths))))
    for length in lengths:
        last = max(0, length - STRETCH)
        yield tuple(sorted({round(last * (k + 0.5) / each) for k in range(each)}))


class ResizedClip(Clip):
    """A clip letterboxed to the image size of a camera, without labels."""

    labelled = False

    def __init__(self, clip: Clip, camera: CameraFormat) -> None:
        self.name, self.rate = clip.name, clip.rate
        self._clip, self._size = clip, (camera.height, camera.width)

    def __len__(self) -> int:
        return len(self._clip)

    def read(self, index: int) -> ClipFrame:
        """Read a frame and letterbox its image."""
        frame = self._clip.read(index)
        height, width, _ = frame.image.shape
        fitted = Letterbox((height, width), self._size).apply(frame.image)
        return replace(frame, image=fitted, labels=None)


def calibration_clips(sources: Sequence[str], camera: CameraFormat | None = None) -> list[Clip]:
    """Open clips given as PATH[@SPLIT][#VIDEO,VIDEO]: a data set, bag, video or folder of images.

    camera  format to letterbox the images to
    Raises DataError for a source without clips.
    """
    clips: list[Clip] = []
    for source in sources:
        whole, videos = split_videos(Path(source))
        path, split = split_name(whole)
        clips += open_clips(path, split=split, videos=videos or None)
    return [ResizedClip(clip, camera) for clip in clips] if camera else clips
