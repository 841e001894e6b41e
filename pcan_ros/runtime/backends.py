"""Which implementation of the engine runs the network."""

from __future__ import annotations

from pathlib import Path

from pcan_model.engine import Engine


def open_engine(backend: str, model: Path, threads: int) -> Engine:
    """Return the engine for an exported model.

    backend  `auto` takes the best that works here
    threads  of the CPU, 0 for one per core
    """
    from pcan_ros.runtime.onnx_engine import OnnxEngine

    if backend not in ("auto", "onnxruntime"):
        raise ValueError(f"backend: expected auto or onnxruntime, got {backend!r}")
    return OnnxEngine(model, threads or None)
