"""The installed TensorRT: `tensorrt` (Jetson, data centre) or `tensorrt_rtx` (GeForce, RTX PRO)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pcan_model.inference.errors import BackendMissing

FLAVOURS = (
    "tensorrt",
    "tensorrt_rtx",
)  # in the order of preference; their APIs agree as far as used here


@dataclass(frozen=True, slots=True)
class Bindings:
    """The Python modules of a TensorRT and of the CUDA runtime."""

    flavour: str  # one of FLAVOURS
    trt: Any  # module tensorrt or tensorrt_rtx
    cudart: Any  # module cuda.bindings.runtime
    installed: bool = False  # what `load_bindings` returns, also in another process

    @property
    def version(self) -> str:
        """Return the version of TensorRT; engines load in the same version only."""
        return str(self.trt.__version__)

    @property
    def title(self) -> str:
        """Return flavour and version for display."""
        return f"{'TensorRT-RTX' if self.is_rtx else 'TensorRT'} {self.version}"

    @property
    def is_rtx(self) -> bool:
        """Return whether kernels are compiled when the engine runs, not when it is built."""
        return self.flavour == "tensorrt_rtx"


def load_bindings() -> Bindings:
    """Import the installed modules; raises BackendMissing with the installation command."""
    flavour, trt = _first(FLAVOURS)
    try:
        cudart = import_module("cuda.bindings.runtime")
    except ImportError as error:
        raise BackendMissing(f"backend: tensorrt: {error}; pip install cuda-python") from error
    return Bindings(flavour, trt, cudart, installed=True)


def _first(names: tuple[str, ...]) -> tuple[str, Any]:
    reasons = []
    for name in names:
        try:
            return name, import_module(name)
        except (ImportError, OSError) as error:  # OSError: a library that does not load
            reasons.append(str(error))
    raise BackendMissing(
        f"backend: tensorrt is not installed ({'; '.join(reasons)}): on a Jetson it is part of JetPack, "
        "elsewhere pip install tensorrt, or tensorrt-rtx for a GeForce; and pip install cuda-python"
    )
