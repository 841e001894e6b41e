"""Which implementation of the engine runs the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pcan_model.core.engine import Engine
from pcan_model.core.fields import faults, setting
from pcan_model.inference import manifest
from pcan_model.inference.errors import EngineLost
from pcan_model.inference.manifest import ModelError, ModelFiles

if TYPE_CHECKING:
    from pcan_model.inference.tensorrt.engine_pair import Source

BACKENDS = ("auto", "onnxruntime", "openvino", "tensorrt")
PROVIDER_NAMES = ("auto", "cpu", "cuda", "tensorrt")
PRECISIONS = ("auto", *manifest.PRECISIONS)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run a model; the node's parameters of the same names."""

    backend: str = setting(
        "auto", "what runs the network; auto takes the best that works here and logs why", choices=BACKENDS
    )
    provider: str = setting(
        "auto",
        "execution provider of ONNX Runtime; auto is cuda where it has it, else cpu",
        choices=PROVIDER_NAMES,
    )
    precision: str = setting(
        "auto", "what the model must have been exported in; auto takes what it is", choices=PRECISIONS
    )
    size: str = setting(
        "", "of the network's input, such as 384x640, of a model with several; empty for the model's own"
    )
    threads: int = setting(0, "CPU threads of the network, 0 for one per core", low=0, high=256)
    engine_cache: str = setting(
        "", "folder of TensorRT engines; empty for the user's cache, ~/.cache/pcan_ros/engines"
    )
    engine_build: bool = setting(
        True, "build a TensorRT engine that the cache lacks, for minutes; else say how to"
    )
    batch_cameras: bool = setting(
        True, "TensorRT: all cameras in one launch, if the model was exported for so many"
    )

    def __post_init__(self) -> None:
        for fault in faults(self):
            raise ModelError(fault)


@dataclass(frozen=True, slots=True)
class Opened:
    """An engine, and in one line why it is this one."""

    engine: Engine
    reason: str


def open_for_cameras(model: Path, options: EngineOptions, cameras: int, say: Say = print) -> Opened:
    """Return the engine for so many cameras: one that serves all in one launch where there is one."""
    files = ModelFiles(model, options.size)
    fits, failure = cameras > 1 and files.manifest.cameras == cameras, ""
    if fits and options.batch_cameras and options.backend in ("auto", "tensorrt"):
        _check_precision(files, options.precision)
        try:
            return Opened(_open_batch(files, options, say), f"tensorrt, {cameras} cameras in one launch")
        except (ModelError, EngineLost) as error:
            if options.backend == "tensorrt":
                raise
            failure = str(error)
    opened = open_engine(model, options, say)
    if cameras == 1 or files.manifest.cameras == 1:
        return opened
    why = f"the model has graphs for {files.manifest.cameras} at once"
    if fits:
        why = "which only TensorRT takes at once" if options.batch_cameras else "as asked"
    if failure and opened.reason.startswith("tensorrt"):
        why = f"as at once fails: {failure}"
    return replace(opened, reason=f"{opened.reason}; {cameras} cameras in turn, {why}")


def open_engine(model: Path, options: EngineOptions, say: Say = print) -> Opened:
    """Return the engine for an exported model; raises ModelError where it cannot be run as asked.

    say  is called with one line for what takes long, such as building a TensorRT engine
    """
    files = ModelFiles(model, options.size)
    _check_precision(files, options.precision)
    if options.backend != "auto":
        return Opened(_open(options.backend, files, options, say), f"{options.backend}, as asked")
    try:
        engine = _open("tensorrt", files, options, say)
        engine.start()  # where the device has too little memory for one camera, it shows now
        return Opened(engine, "tensorrt, the fastest that works here")
    except (ModelError, EngineLost) as error:
        why = str(error).removeprefix("backend: ")
        return Opened(_open("onnxruntime", files, options, say), f"onnxruntime, because {why}")


def _open(backend: str, files: ModelFiles, options: EngineOptions, say: Say) -> Engine:
    """Import a backend only now, so that the others need not be installed."""
    threads = options.threads or None
    if backend == "tensorrt":
        from pcan_model.inference.tensorrt.engine import TensorRtEngine

        return TensorRtEngine(_tensorrt_source(files, options, say))
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


def _open_batch(files: ModelFiles, options: EngineOptions, say: Say) -> Engine:
    from pcan_model.inference.tensorrt.batch_engine import TensorRtBatchEngine

    return TensorRtBatchEngine(_tensorrt_source(files, options, say))


def _tensorrt_source(files: ModelFiles, options: EngineOptions, say: Say) -> Source:
    from pcan_model.inference.tensorrt.bindings import load_bindings
    from pcan_model.inference.tensorrt.build import in_tenths
    from pcan_model.inference.tensorrt.cache import default_cache
    from pcan_model.inference.tensorrt.engine_pair import Source

    cache = Path(options.engine_cache).expanduser() if options.engine_cache else default_cache()
    return Source(files, load_bindings(), cache, options.engine_build, say, in_tenths(say))


def _check_precision(files: ModelFiles, wanted: str) -> None:
    """Raise ModelError unless the model was exported in the wanted precision: no runtime can change it."""
    precision = files.manifest.precision
    if wanted not in ("auto", precision):
        raise ModelError(
            f"{files.manifest_path}: precision: expected {wanted} as asked, got "
            f"{precision}; export it so: pcan-export --precision {wanted}"
        )
