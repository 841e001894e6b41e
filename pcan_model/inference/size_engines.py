"""Engines for all input sizes of a model, between which a latency budget chooses."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path

from pcan_model.core.engine import Engine
from pcan_model.inference.backends import (
    EngineOptions,
    Opened,
    Say,
    Stopped,
    never,
    open_engine,
    open_for_cameras,
)
from pcan_model.inference.errors import ModelError
from pcan_model.inference.input_size import AUTO, parse_size
from pcan_model.inference.manifest import ModelFiles


def open_all(
    model: Path, options: EngineOptions, cameras: int, say: Say = print, stopped: Stopped = never
) -> tuple[Opened, tuple[Engine, ...]]:
    """Return the engine for a number of cameras, and with size AUTO those for larger inputs, ascending."""
    if options.size != AUTO:
        return open_for_cameras(model, options, cameras, say, stopped), ()
    smallest, *larger = open_sizes(model, options)
    return smallest, tuple(each.engine for each in larger)


def open_sizes(model: Path, options: EngineOptions) -> tuple[Opened, ...]:
    """Return an engine on the host for each input size of a model, the smallest first.

    Raises ModelError with TensorRT, or if the sizes cannot share the memory of a camera.
    """
    backend = "onnxruntime" if options.backend == "auto" else options.backend
    if backend == "tensorrt":
        raise ModelError(f"size: expected one of the model's with TensorRT, got {AUTO}")
    manifest = ModelFiles(model).manifest
    sizes = sorted({manifest.size, *manifest.sizes}, key=lambda text: prod(parse_size(text)))
    opened = [open_engine(model, replace(options, backend=backend, size=size)) for size in sizes]
    expected = _memory(opened[0].engine)
    for size, each in zip(sizes, opened, strict=True):
        if _memory(each.engine) != expected:
            raise ModelError(f"size: {AUTO}: expected a memory of {expected} at {size} as at {sizes[0]}")
    reason = f"{opened[0].reason}; sizes {', '.join(sizes)}, of which the latency budget chooses"
    return (replace(opened[0], reason=reason), *opened[1:])


def _memory(engine: Engine) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a camera's memory by name."""
    return {name: array.shape for name, array in engine.state_arrays(engine.start()).items()}
