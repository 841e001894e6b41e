"""Selection of the inference backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pcan_model.core.engine import Engine
from pcan_model.core.fields import faults, setting
from pcan_model.inference import manifest
from pcan_model.inference.errors import BackendMissing, EngineLost, ModelError
from pcan_model.inference.input_size import AUTO, DESCRIPTION, LARGEST
from pcan_model.inference.manifest import ModelFiles

if TYPE_CHECKING:
    from pcan_model.inference.tensorrt.engine_pair import Source

BACKENDS = ("auto", "onnxruntime", "openvino", "tensorrt")
PROVIDER_NAMES = ("auto", "cpu", "cuda", "tensorrt")
PRECISIONS = ("auto", *manifest.PRECISIONS)
FAILURES = (ModelError, EngineLost, OSError)  # of TensorRT, after which `auto` selects ONNX Runtime

Say = Callable[[str], None]
Stopped = Callable[[], bool]


def never() -> bool:
    """Return that nothing is to stop."""
    return False


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Options of an engine; the node has parameters of the same names."""

    backend: str = setting(
        "auto", "inference backend; auto selects the fastest that works and logs why", choices=BACKENDS
    )
    provider: str = setting(
        "auto",
        "execution provider of ONNX Runtime; auto is cuda if available, else cpu",
        choices=PROVIDER_NAMES,
    )
    precision: str = setting(
        "auto", "required precision of the exported model; auto accepts any", choices=PRECISIONS
    )
    size: str = setting(
        "",
        f"{DESCRIPTION}, with TensorRT the largest; {AUTO}: the node chooses by its latency_budget, not with "
        "TensorRT",
    )
    threads: int = setting(0, "CPU threads for inference, 0 for one per core", low=0, high=256)
    engine_cache: str = setting("", "folder of TensorRT engines; empty for ~/.cache/pcan_ros/engines")
    engine_build: bool = setting(
        True, "build a missing TensorRT engine, which takes minutes; else fail with the command to run"
    )
    batch_cameras: bool = setting(
        True, "TensorRT: batch all cameras, if the model was exported for that number"
    )

    def __post_init__(self) -> None:
        for fault in faults(self):
            raise ModelError(fault)


@dataclass(frozen=True, slots=True)
class Opened:
    """An engine, and a line on why it was selected."""

    engine: Engine
    reason: str
    degraded: bool = False  # a faster backend is installed but failed


def open_for_cameras(
    model: Path, options: EngineOptions, cameras: int, say: Say = print, stopped: Stopped = never
) -> Opened:
    """Return an engine for a number of cameras, batched if possible; `say`, `stopped` as in `open_engine`."""
    files = ModelFiles(model, options.size)
    fits, failure = cameras > 1 and files.manifest.cameras == cameras, ""
    if fits and options.batch_cameras and options.backend in ("auto", "tensorrt"):
        _check_precision(files, options.precision)
        try:
            return Opened(
                _open_batch(files, options, say, stopped), f"tensorrt, {cameras} cameras in one launch"
            )
        except FAILURES as error:
            if options.backend == "tensorrt":
                raise
            failure = str(error)
    opened = open_engine(model, options, say, stopped)
    if cameras == 1 or files.manifest.cameras == 1:
        return opened
    why = f"the model has graphs for {files.manifest.cameras} at once"
    if fits:
        why = "which only TensorRT takes at once" if options.batch_cameras else "as asked"
    if failure and opened.reason.startswith("tensorrt"):
        why = f"since batching fails: {failure}"
    return replace(opened, reason=f"{opened.reason}; {cameras} cameras in turn, {why}")


def open_engine(model: Path, options: EngineOptions, say: Say = print, stopped: Stopped = never) -> Opened:
    """Return an engine for an exported model; raises ModelError if it cannot be run with these options.

    say      called with a line about slow steps, such as building a TensorRT engine
    stopped  whether such a step is to end early, which raises BuildStopped
    """
    files = ModelFiles(model, options.size)
    _check_precision(files, options.precision)
    if options.backend != "auto":
        return Opened(_open(options.backend, files, options, say, stopped), f"{options.backend}, as asked")
    try:
        engine = _open("tensorrt", files, options, say, stopped)
        engine.start()  # fails here if the device has too little memory for one camera
        return Opened(engine, "tensorrt, the fastest that works here")
    except FAILURES as error:
        why = f"onnxruntime, because {str(error).removeprefix('backend: ')}"
        failed = not isinstance(error, BackendMissing)
        return Opened(_open("onnxruntime", files, options, say, stopped), why, failed)


def _open(backend: str, files: ModelFiles, options: EngineOptions, say: Say, stopped: Stopped) -> Engine:
    """Import a backend on demand, so that the others need not be installed."""
    threads = options.threads or None
    if backend == "tensorrt":
        from pcan_model.inference.tensorrt.engine import TensorRtEngine

        return TensorRtEngine(_tensorrt_source(files, options, say, stopped))
    if backend == "openvino":
        from pcan_model.inference.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(files.folder, threads, options.size)
    try:
        from pcan_model.inference.onnx_engine import OnnxEngine
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        raise ModelError("backend: onnxruntime is not installed: pip install onnxruntime") from error
    return OnnxEngine(files.folder, threads, options.provider, options.size)


def _open_batch(files: ModelFiles, options: EngineOptions, say: Say, stopped: Stopped) -> Engine:
    from pcan_model.inference.tensorrt.batch_engine import TensorRtBatchEngine

    return TensorRtBatchEngine(_tensorrt_source(files, options, say, stopped))


def _tensorrt_source(files: ModelFiles, options: EngineOptions, say: Say, stopped: Stopped) -> Source:
    from pcan_model.inference.tensorrt.bindings import load_bindings
    from pcan_model.inference.tensorrt.build import in_tenths
    from pcan_model.inference.tensorrt.cache import default_cache
    from pcan_model.inference.tensorrt.engine_pair import Source

    if not options.size:  # a GPU has the time for the most accurate
        files = ModelFiles(files.folder, LARGEST)
    cache = Path(options.engine_cache).expanduser() if options.engine_cache else default_cache()
    return Source(files, load_bindings(), cache, options.engine_build, say, in_tenths(say, stopped))


def _check_precision(files: ModelFiles, wanted: str) -> None:
    """Raise ModelError unless the model was exported in the required precision."""
    precision = files.manifest.precision
    if wanted not in ("auto", precision):
        raise ModelError(
            f"{files.manifest_path}: precision: expected {wanted} as asked, got "
            f"{precision}; export it so: pcan-export --precision {wanted}"
        )
