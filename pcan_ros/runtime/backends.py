"""Which implementation of the engine runs the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pcan_model.engine import Engine
from pcan_ros.runtime.engine_facts import EngineLost
from pcan_ros.runtime.model_files import ModelError, ModelFiles

BACKENDS = ("auto", "onnxruntime", "openvino", "tensorrt")
PROVIDER_NAMES = ("auto", "cpu", "cuda", "tensorrt")
PRECISIONS = ("auto", "fp32", "fp16", "int8", "fp8")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run a model; the node's parameters of the same names."""

    backend: str = "auto"  # one of BACKENDS
    provider: str = "auto"  # of ONNX Runtime, one of PROVIDER_NAMES
    precision: str = "auto"  # what the model must have been exported in; auto takes what it is
    threads: int = 0  # of the CPU, 0 for one per core
    engine_cache: str = ""  # folder of TensorRT engines, empty for the user's cache folder
    engine_build: bool = True  # build a TensorRT engine that is not in the cache

    def __post_init__(self) -> None:
        for name, choices in (
            ("backend", BACKENDS),
            ("provider", PROVIDER_NAMES),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in choices:
                raise ModelError(f"{name}: expected one of {', '.join(choices)}; got {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True)
class Opened:
    """An engine, and in one line why it is this one."""

    engine: Engine
    reason: str


def open_engine(model: Path, options: EngineOptions, say: Say = print) -> Opened:
    """Return the engine for an exported model; raises ModelError where it cannot be run as asked.

    say  is told in one line what takes long, such as building a TensorRT engine
    """
    files = ModelFiles(model)
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
        from pcan_ros.tensorrt.bindings import load_bindings
        from pcan_ros.tensorrt.cache import default_cache
        from pcan_ros.tensorrt.pair import Source
        from pcan_ros.tensorrt.tensorrt_engine import TensorRtEngine

        cache = Path(options.engine_cache).expanduser() if options.engine_cache else default_cache()
        return TensorRtEngine(Source(files, load_bindings(), cache, options.engine_build, say))
    if backend == "openvino":
        from pcan_ros.runtime.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(files.folder, threads)
    from pcan_ros.runtime.onnx_engine import OnnxEngine

    return OnnxEngine(files.folder, threads, options.provider)


def _check_precision(files: ModelFiles, wanted: str) -> None:
    """Raise ModelError unless the model was exported in the wanted precision: no runtime can change it."""
    if wanted not in ("auto", files.precision):
        raise ModelError(
            f"{files.folder / 'manifest.json'}: precision: expected {wanted} as asked, got "
            f"{files.precision}; export it so: pcan-export --precision {wanted}"
        )
