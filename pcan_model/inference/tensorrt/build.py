"""Builds an engine from a strongly typed ONNX graph, which determines the precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcan_model.inference.errors import BuildStopped, ModelError
from pcan_model.inference.tensorrt.bindings import Bindings
from pcan_model.inference.tensorrt.logger import make_logger

Progress = Callable[[str, int, int], None]
"""Called with the name of a phase, the steps done and all steps; what it raises ends the build."""


def in_tenths(say: Callable[[str], None], stopped: Callable[[], bool] = lambda: False) -> Progress:
    """Return a progress callback that reports a line after every tenth of a phase.

    stopped  whether the build is to end; then the callback raises BuildStopped
    """
    reported: dict[str, int] = {}

    def report(phase: str, done: int, steps: int) -> None:
        if stopped():
            raise BuildStopped("the build of an engine was stopped")
        before, reported[phase] = reported.get(phase, 0), 10 * done // max(steps, 1)
        if reported[phase] > before:
            say(f"{phase}: {10 * reported[phase]} % done")

    return report


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Options of a build, all of which are part of the cache key."""

    capability: str  # compute capability of the device, such as 8.7
    level: int = 3  # builder_optimization_level, 0 (fast to build) to 5 (fast to run)
    workspace: int = 0  # MiB of workspace memory per layer, 0 for no limit


@dataclass(frozen=True, slots=True)
class Built:
    """Result of a build."""

    plan: bytes  # the serialised engine
    timing_cache: bytes  # speeds up the next build; empty on TensorRT-RTX


def build_engine(
    bindings: Bindings,
    onnx: Path,
    options: BuildOptions,
    *,
    timing_cache: bytes = b"",
    progress: Progress | None = None,
) -> Built:
    """Parse a graph and build its engine, which takes minutes; raises ModelError with TensorRT's reason."""
    trt, logger = bindings.trt, make_logger(bindings.trt)
    try:
        builder = trt.Builder(logger)
    except TypeError as error:  # raised by pybind if the C++ function returns null
        raise ModelError(f"{bindings.title}: cannot build here: {logger.reason()}") from error
    network, parser = parse(bindings, builder, onnx, logger)
    config = _configure(bindings, builder, options)
    cache = _attach_timing_cache(bindings, config, timing_cache)
    monitor = _monitor(trt, progress) if progress else None
    if monitor:
        config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    del parser  # which owns the weights of the network
    if monitor and monitor.error:
        raise monitor.error
    if plan is None:
        raise ModelError(f"{onnx}: {bindings.title} cannot build it: {logger.reason()}")
    return Built(bytes(memoryview(plan)), bytes(memoryview(cache.serialize())) if cache else b"")


def parse(bindings: Bindings, builder: Any, onnx: Path, logger: Any) -> tuple[Any, Any]:
    """Return the network of a graph and its parser, which must outlive it; raises ModelError."""
    trt = bindings.trt
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)  # the value differs between versions
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(onnx)):
        errors = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise ModelError(f"{onnx}: {bindings.title} cannot read it: {' '.join(errors.split())}")
    return network, parser


def _configure(bindings: Bindings, builder: Any, options: BuildOptions) -> Any:
    config = builder.create_builder_config()
    config.builder_optimization_level = options.level
    if options.workspace:
        config.set_memory_pool_limit(bindings.trt.MemoryPoolType.WORKSPACE, options.workspace << 20)
    if bindings.is_rtx:
        config.num_compute_capabilities = 1
        config.set_compute_capability(_capability(bindings, options.capability), 0)
    return config


def _capability(bindings: Bindings, text: str) -> Any:
    kinds = bindings.trt.ComputeCapability.__members__
    name = f"SM{text.replace('.', '')}"
    if name not in kinds:
        known = ", ".join(kind for kind in kinds if kind.startswith("SM"))
        raise ModelError(
            f"{bindings.title}: compute capability {text}: expected one of {known}; use full TensorRT there"
        )
    return kinds[name]


def _attach_timing_cache(bindings: Bindings, config: Any, content: bytes) -> Any:
    """Return the timing cache used and filled by the build, None on TensorRT-RTX."""
    if bindings.is_rtx:
        return None
    cache = config.create_timing_cache(content)
    config.set_timing_cache(cache, False)
    return cache


def _monitor(trt: Any, progress: Progress) -> Any:
    """Return a trt.IProgressMonitor that reports the outermost phases at every step, also of inner ones."""

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.error: BaseException | None = None  # that the callback raised
            self._steps: dict[str, int] = {}
            self._last = ("", 0, 0)  # what was reported last

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            """Record the start of a phase."""
            if parent_phase is None:
                self._steps[phase_name] = num_steps
                self._report(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            """Report a step; returns whether to continue the build."""
            if phase_name in self._steps:
                return self._report(phase_name, step + 1)
            return self._call(*self._last)

        def phase_finish(self, phase_name: str) -> None:
            """Report the end of a phase."""
            if phase_name in self._steps:
                self._report(phase_name, self._steps[phase_name])
                del self._steps[phase_name]

        def _report(self, phase: str, done: int) -> bool:
            self._last = (phase, done, self._steps[phase])
            return self._call(*self._last)

        def _call(self, phase: str, done: int, steps: int) -> bool:
            """Keep what the callback raises: an exception must not pass through TensorRT."""
            try:
                if self.error is None:
                    progress(phase, done, steps)
            except BaseException as error:
                self.error = error
            return self.error is None

    return Monitor()
