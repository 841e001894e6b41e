"""Engines ready to run, from the cache or built, and their execution contexts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pcan_model.inference.errors import EngineLost, ModelError
from pcan_model.inference.graphs import GraphSignature, Shape, signature_of
from pcan_model.inference.manifest import ModelFiles
from pcan_model.inference.tensorrt.bindings import Bindings
from pcan_model.inference.tensorrt.build import BuildOptions, Progress, build_engine
from pcan_model.inference.tensorrt.build_subprocess import build_in_subprocess
from pcan_model.inference.tensorrt.cache import EngineCache, EngineKey
from pcan_model.inference.tensorrt.logger import make_logger

Say = Callable[[str], None]
DTYPES = {  # by names of trt.DataType, which are the same in all versions
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT64": np.int64,
    "INT32": np.int32,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}


@dataclass(frozen=True, slots=True)
class EngineProvider:
    """Provides the engines of a model's graphs: from the cache, or built."""

    bindings: Bindings
    cache: EngineCache
    options: BuildOptions
    say: Say  # called with a line about slow steps and problems
    progress: Progress | None = None

    def key(self, files: ModelFiles, graph: str) -> EngineKey:
        """Return the cache key of a graph's engine."""
        return EngineKey(
            model=files.folder.resolve().name,
            graph=graph,
            onnx=files.digest(graph),
            flavour=self.bindings.flavour,
            version=self.bindings.version,
            capability=self.options.capability,
            precision=files.manifest.precision,
            level=self.options.level,
            workspace=self.options.workspace,
        )

    def build(self, files: ModelFiles, graph: str) -> bytes:
        """Build and cache the engine of a graph; returns it serialised."""
        self.cache.check_writable()
        key = self.key(files, graph)
        timing = f"timing-{key.flavour}-{key.version}-{key.capability}.cache"
        build = build_in_subprocess if self.bindings.installed else build_engine
        built = build(
            self.bindings,
            files.graph(graph),
            self.options,
            timing_cache=self.cache.read(timing),
            progress=self.progress,
        )
        if built.timing_cache:
            self.cache.write(timing, built.timing_cache)
        self.cache.put(key, built.plan)
        return built.plan

    def load(self, files: ModelFiles, graph: str, *, build: bool) -> LoadedEngine:
        """Return the engine of a graph, building it if it is missing or does not load.

        build  whether to build; if not, raises ModelError with the command to run
        """
        check_buildable(files)
        key, logger = self.key(files, graph), make_logger(self.bindings.trt)
        runtime = self.bindings.trt.Runtime(logger)
        plan = self.cache.get(key)
        engine = runtime.deserialize_cuda_engine(plan) if plan else None
        if engine is None:
            problem = f"does not load ({logger.reason()})" if plan else "is not in the cache"
            if not build:
                raise ModelError(
                    f"{key.folder}: the engine {problem}: pcan-build-engine {files.folder} "
                    f"--engine-cache {self.cache.root}"
                )
            title = self.bindings.title
            self.say(f"the {graph} engine {problem}: building it for {title}, which takes minutes")
            plan = self.build(files, graph)
            engine = runtime.deserialize_cuda_engine(plan)
        if engine is None or plan is None:
            raise ModelError(f"{key.folder}: a fresh engine does not load: {logger.reason()}")
        kernels = f"kernels-{key.folder}.cache" if self.bindings.is_rtx else ""
        signature = signature_of(files, graph)
        return LoadedEngine(
            engine, logger, self.cache, kernels, size=len(plan), graph=graph, signature=signature
        )


def check_buildable(files: ModelFiles) -> None:
    """Raise ModelError with the export command for a graph that needs a plugin."""
    if not files.manifest.grid_sample:
        raise ModelError(
            f"{files.manifest_path}: roi: expected gridsample for TensorRT, got roialign: "
            f"pcan-export --weights {files.weights} --roi gridsample --out NEW"
        )


class LoadedEngine:
    """A deserialised engine of one graph, shared by all cameras."""

    def __init__(
        self,
        engine: Any,
        logger: Any,
        cache: EngineCache,
        kernels: str,
        *,
        size: int,
        graph: str,
        signature: GraphSignature,
    ) -> None:
        self._engine, self._logger, self._cache, self._kernels = engine, logger, cache, kernels
        self.size, self.graph, self.signature = size, graph, signature
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name).name == "INPUT"]
        signature.check(f"engine of {graph}.onnx", inputs, [name for name in names if name not in inputs])
        self._shapes: dict[str, Shape] = {name: tuple(engine.get_tensor_shape(name)) for name in names}
        self._dtypes = {name: DTYPES[engine.get_tensor_dtype(name).name] for name in names}
        self._runtime_cache: Any = None
        self._kept = b""

    def shape(self, name: str) -> Shape:
        """Return the shape of an input or output."""
        return self._shapes[name]

    def dtype(self, name: str) -> Any:
        """Return the NumPy type of an input or output."""
        return self._dtypes[name]

    def bytes(self, name: str) -> int:
        """Return the size of an input or output in bytes."""
        return int(np.prod(self._shapes[name], dtype=np.int64)) * np.dtype(self._dtypes[name]).itemsize

    @property
    def scratch(self) -> int:
        """Return the device memory of each execution context in bytes."""
        return int(self._engine.device_memory_size_v2)

    def context(self) -> Any:
        """Create an execution context; raises EngineLost if the device is out of memory."""
        config = self._runtime_config() if self._kernels else None
        make = self._engine.create_execution_context
        context = make(config) if config is not None else make()
        if context is None:
            raise EngineLost(f"TensorRT: no execution context of the {self.graph} engine: {self.reason()}")
        return context

    def reason(self) -> str:
        """Return TensorRT's last errors."""
        return str(self._logger.reason())

    def keep_kernels(self) -> None:
        """Save the kernels that TensorRT-RTX has compiled on this device, for the next start."""
        if self._runtime_cache is None:
            return
        content = bytes(memoryview(self._runtime_cache.serialize()))
        if content != self._kept:
            self._cache.write(self._kernels, content)
            self._kept = content

    def _runtime_config(self) -> Any:
        config = self._engine.create_runtime_config()
        if self._runtime_cache is None:
            self._runtime_cache = config.create_runtime_cache()
            self._kept = self._cache.read(self._kernels)
            if self._kept:
                self._runtime_cache.deserialize(self._kept)
        config.set_runtime_cache(self._runtime_cache)
        return config
