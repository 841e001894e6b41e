"""The two engines of a model on the device, and whether the device still does its work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcan_model.inference.engine_facts import EngineFacts, EngineLost
from pcan_model.inference.graphs import check_fit, features_of
from pcan_model.inference.manifest import BATCH, ModelError, ModelFiles
from pcan_model.inference.tensorrt.bindings import Bindings
from pcan_model.inference.tensorrt.build import BuildOptions, Progress
from pcan_model.inference.tensorrt.cache import EngineCache
from pcan_model.inference.tensorrt.cuda import Cuda
from pcan_model.inference.tensorrt.loaded_engine import Say, Shop, open_plan
from pcan_model.inference.tensorrt.session import Session


@dataclass(frozen=True, slots=True)
class Source:
    """Where the engines of a model come from."""

    files: ModelFiles
    bindings: Bindings
    cache: Path  # folder of engines
    build: bool = True  # those that the cache lacks
    say: Say = print  # told in one line what takes long
    progress: Progress | None = None


class EnginePair:
    """Frame and instance engine; any failure of the device is an EngineLost, and final."""

    def __init__(self, source: Source, *, cameras: int = 1) -> None:
        """Load or build the engines that look through so many cameras at once."""
        files, bindings = source.files, source.bindings
        self._bindings, self._precision, self._cuda = bindings, files.precision, Cuda(bindings.cudart)
        if not self._cuda.devices():
            raise ModelError(f"backend: tensorrt: {bindings.title} is installed, but there is no CUDA device")
        self._device = f"{self._cuda.device_name()} (compute capability {self._cuda.capability()})"
        options = BuildOptions(self._cuda.capability())
        shop = Shop(bindings, EngineCache(source.cache), options, source.say, source.progress)
        prefix = BATCH if cameras > 1 else ""
        self.frame = open_plan(files, f"{prefix}frame", shop, build=source.build)
        self.instance = open_plan(files, f"{prefix}instance", shop, build=source.build)
        check_fit(files, self.frame.shape, self.instance.shape, cameras)
        self._check_features(features_of(files))
        self._cameras, self._lost = cameras, ""

    def session(self) -> Session:
        """Return new contexts and buffers."""
        return Session(self.frame, self.instance, self._cuda)

    def facts(self, sessions: Sequence[Session]) -> EngineFacts:
        """Return what runs, and the device memory of plans, contexts and buffers."""
        scratch = self.frame.scratch + self.instance.scratch
        held = sum(session.device_bytes + scratch for session in sessions)
        graphs = sum(session.graphs for session in sessions)
        together = f", {self._cameras} cameras at once" if self._cameras > 1 else ""
        text = f"{self._bindings.title}, {self._device}{together}, {graphs} CUDA graphs"
        plans = self.frame.size + self.instance.size
        return EngineFacts("tensorrt", text, self._precision, held + plans)

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Refuse to go on once the device has failed: what it holds may be anything."""
        if self._lost:
            raise EngineLost(f"{self._lost}; configure the node anew")
        try:
            yield
        except EngineLost as error:
            self._lost = str(error)
            raise

    def _check_features(self, names: Sequence[str]) -> None:
        """Raise ModelError where the instance engine would misread the frame engine's features."""
        for name in names:
            made, read = self.frame.dtype(name), self.instance.dtype(name)
            if made != read:
                raise ModelError(f"instance.onnx: {name}: expected {np.dtype(made)}, got {np.dtype(read)}")
