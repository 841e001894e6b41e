"""The two engines of a model, and the state of their device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcan_model.core.engine import EngineFacts
from pcan_model.inference.errors import BackendMissing, EngineLost, ModelError
from pcan_model.inference.graphs import check_fit, features_of
from pcan_model.inference.manifest import BATCH, ModelFiles
from pcan_model.inference.tensorrt.bindings import Bindings
from pcan_model.inference.tensorrt.build import BuildOptions, Progress
from pcan_model.inference.tensorrt.cache import EngineCache
from pcan_model.inference.tensorrt.cuda import Cuda
from pcan_model.inference.tensorrt.loaded_engine import EngineProvider, Say
from pcan_model.inference.tensorrt.session import Session


@dataclass(frozen=True, slots=True)
class Source:
    """Model, bindings and cache from which engines are loaded."""

    files: ModelFiles
    bindings: Bindings
    cache: Path  # folder of engines
    build: bool = True  # build missing engines
    say: Say = print  # called with a line about slow steps
    progress: Progress | None = None


class EnginePair:
    """Frame and instance engine; a failure of the device raises EngineLost and is final."""

    def __init__(self, source: Source, *, cameras: int = 1) -> None:
        """Load or build the engines for a number of cameras per launch."""
        files, bindings = source.files, source.bindings
        self._bindings, self._precision, self._cuda = (
            bindings,
            files.manifest.precision,
            Cuda(bindings.cudart),
        )
        if not self._cuda.devices():
            missing = f"backend: tensorrt: {bindings.title} is installed, but there is no CUDA device"
            raise BackendMissing(missing)
        self._device = f"{self._cuda.device_name()} (compute capability {self._cuda.capability()})"
        options = BuildOptions(self._cuda.capability())
        cache = EngineCache(source.cache)
        provider = EngineProvider(bindings, cache, options, source.say, source.progress)
        prefix = BATCH if cameras > 1 else ""
        self.frame = provider.load(files, f"{prefix}frame", build=source.build)
        self.instance = provider.load(files, f"{prefix}instance", build=source.build)
        check_fit(files, self.frame.shape, self.instance.shape, cameras)
        self._check_features(features_of(files))
        self._cameras, self._lost = cameras, ""

    def session(self) -> Session:
        """Create contexts and buffers."""
        return Session(self.frame, self.instance, self._cuda)

    def facts(self, sessions: Sequence[Session]) -> EngineFacts:
        """Return the runtime, and the device memory of engines, contexts and buffers."""
        scratch = self.frame.scratch + self.instance.scratch
        held = sum(session.device_bytes + scratch for session in sessions)
        graphs = sum(session.graphs for session in sessions)
        together = f", {self._cameras} cameras at once" if self._cameras > 1 else ""
        text = f"{self._bindings.title}, {self._device}{together}, {graphs} CUDA graphs"
        engines = self.frame.size + self.instance.size
        return EngineFacts("tensorrt", text, self._precision, held + engines)

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Guard device work: raises EngineLost once the device has failed, with undefined contents."""
        if self._lost:
            raise EngineLost(f"{self._lost}; configure the node anew")
        try:
            yield
        except EngineLost as error:
            self._lost = str(error)
            raise

    def retire(self) -> None:
        """Mark the engine as closed."""
        self._lost = self._lost or "TensorRT: the engine is closed"

    def _check_features(self, names: Sequence[str]) -> None:
        """Raise ModelError unless both engines have the same types for the features passed between them."""
        for name in names:
            made, read = self.frame.dtype(name), self.instance.dtype(name)
            if made != read:
                raise ModelError(f"instance.onnx: {name}: expected {np.dtype(made)}, got {np.dtype(read)}")
