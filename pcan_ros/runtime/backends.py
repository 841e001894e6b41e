"""Which implementation of the engine runs the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pcan_model.engine import Engine
from pcan_ros.runtime.model_files import ModelError, ModelFiles

BACKENDS = ("auto", "onnxruntime", "openvino")
PROVIDER_NAMES = ("auto", "cpu", "cuda", "tensorrt")
PRECISIONS = ("auto", "fp32", "fp16", "int8", "fp8")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run a model; the node's parameters of the same names."""

    backend: str = "auto"  # one of BACKENDS
    provider: str = "auto"  # of ONNX Runtime, one of PROVIDER_NAMES
    precision: str = "auto"  # what the model must have been exported in; auto takes what it is
    threads: int = 0  # of the CPU, 0 for one per core

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


def open_engine(model: Path, options: EngineOptions) -> Opened:
    """Return the engine for an exported model; raises ModelError where it cannot be run as asked."""
    _check_precision(model, options.precision)
    threads = options.threads or None
    if options.backend == "openvino":
        from pcan_ros.runtime.openvino_engine import OpenVinoEngine

        return Opened(OpenVinoEngine(model, threads), "openvino, as asked")
    from pcan_ros.runtime.onnx_engine import OnnxEngine

    engine = OnnxEngine(model, threads, options.provider)
    asked = options.backend == "onnxruntime"
    return Opened(engine, "onnxruntime, as asked" if asked else "onnxruntime, the best that works here")


def _check_precision(model: Path, wanted: str) -> None:
    """Raise ModelError unless the model was exported in the wanted precision: no runtime can change it."""
    got = ModelFiles(model).precision
    if wanted not in ("auto", got):
        raise ModelError(
            f"{model / 'manifest.json'}: precision: expected {wanted} as asked, got {got}; export it so"
        )
