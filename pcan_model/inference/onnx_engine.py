"""PCAN on ONNX Runtime, the default backend, with its CPU, CUDA or TensorRT execution provider."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from pcan_model.inference.errors import ModelError
from pcan_model.inference.graphs import ON_HOST, GraphSignature, Shape, signature_of
from pcan_model.inference.host_engine import HostEngine
from pcan_model.inference.manifest import ModelFiles
from pcan_model.model.pass_names import GRAPHS

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
# It quantises biases by the product of two scales, which overflows 16 bits.
DISABLED_OPTIMIZERS = ("WeightBiasQuantization",)
DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


class OnnxEngine(HostEngine):
    """Engine on an execution provider of ONNX Runtime."""

    name = "onnxruntime"

    def __init__(
        self, model_dir: Path, threads: int | None = None, provider: str = "auto", size: str = ""
    ) -> None:
        files, chosen = ModelFiles(model_dir, size), choose_provider(provider, ort.get_available_providers())
        level = optimisation_level(files.manifest.precision)
        frame, instance = (
            OnnxNetwork(files.graph(name), signature_of(files, name), threads, chosen, level)
            for name in GRAPHS
        )
        device = f"ONNX Runtime {ort.__version__}, {frame.provider}"
        super().__init__(files, frame, instance, device)


def optimisation_level(precision: str) -> Any:
    """Return the optimisation level for graphs of a precision.

    Beyond the basic level ONNX Runtime treats fp8 as int8: it fails, or silently gives wrong results.
    """
    levels = ort.GraphOptimizationLevel
    return levels.ORT_ENABLE_BASIC if precision == "fp8" else levels.ORT_ENABLE_ALL


def choose_provider(wanted: str, available: Sequence[str]) -> str:
    """Return the execution provider for `auto`, `cpu`, `cuda` or `tensorrt`.

    `auto` selects CUDA if available, and never TensorRT, which silently builds engines for minutes at the
    start. Raises ModelError if the wanted provider is not available.
    """
    if wanted == "auto":
        return PROVIDERS["cuda" if PROVIDERS["cuda"] in available else "cpu"]
    if PROVIDERS[wanted] not in available:
        raise ModelError(
            f"provider: {wanted}: this ONNX Runtime has only {', '.join(available)}; "
            "pip install onnxruntime-gpu in place of onnxruntime"
        )
    return PROVIDERS[wanted]


class OnnxNetwork:
    """An ONNX graph of static shapes; inputs and outputs are bound, not copied."""

    def __init__(
        self, path: Path, signature: GraphSignature, threads: int | None, provider: str, level: Any
    ) -> None:
        self._session = _session(path, threads, provider, level)
        self._signature = signature
        self._shapes: dict[str, Shape] = {}
        self._dtypes: dict[str, Any] = {}
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        signature.check(path, [node.name for node in inputs], [node.name for node in outputs])
        for node in (*inputs, *outputs):
            self._shapes[node.name] = _static_shape(path, node)
            self._dtypes[node.name] = DTYPES[node.type]
        # State outlives the run. In the runtime's arena it would split the chunks that the next run needs,
        # at 16 MB a camera of pcan_street; so it is written to memory of its own.
        self._kept = set(signature.state.values()) if self._device == "cpu" else set[str]()

    @property
    def provider(self) -> str:
        """Return the execution provider that runs the graph."""
        return str(self._session.get_providers()[0])

    @property
    def _device(self) -> str:
        return "cpu" if self.provider == PROVIDERS["cpu"] else "cuda"

    def shape(self, name: str) -> Shape:
        """Return the shape of an input or output."""
        return self._shapes[name]

    def zeros(self, name: str) -> Any:
        """Return an input of zeros as a runtime value."""
        return self._value(np.zeros(self._shapes[name], self._dtypes[name]))

    def run(self, *values: Any) -> dict[str, Any]:
        """Run the graph on arrays or runtime values, in the order of the inputs."""
        binding = self._session.io_binding()
        for name, value in zip(self._signature.inputs, values, strict=True):
            if isinstance(value, np.ndarray):
                value = self._value(np.ascontiguousarray(value, self._dtypes[name]))
            binding.bind_ortvalue_input(name, value)
        kept = {name: self._value(np.empty(self._shapes[name], self._dtypes[name])) for name in self._kept}
        for name in self._signature.outputs:
            if name in kept:
                binding.bind_ortvalue_output(name, kept[name])
            else:
                binding.bind_output(name, "cpu" if name in ON_HOST else self._device)
        self._session.run_with_iobinding(binding)
        return dict(zip(self._signature.outputs, binding.get_outputs(), strict=True)) | kept

    def read(self, value: Any) -> NDArray[Any]:
        """Return a runtime value as an array."""
        return value.numpy()

    def _value(self, array: NDArray[Any]) -> Any:
        return ort.OrtValue.ortvalue_from_numpy(array, self._device)


def _session(path: Path, threads: int | None, provider: str, level: Any) -> Any:
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    # A robot's cores are shared: spinning threads take twice the CPU time, and on two busy cores
    # half as much time again per frame.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(
            str(path), options, providers=[provider], disabled_optimizers=list(DISABLED_OPTIMIZERS)
        )
    except Exception as error:  # the runtime raises many unrelated types
        raise ModelError(f"{path}: ONNX Runtime cannot load it: {error}") from error
    if session.get_providers()[0] != provider:  # it falls back to the CPU and only logs it
        raise ModelError(f"{path}: ONNX Runtime cannot start {provider} here; see its log above")
    return session


def _static_shape(path: Path, node: Any) -> Shape:
    if not all(isinstance(side, int) for side in node.shape):
        raise ModelError(f"{path}: {node.name}: expected a static shape, got {node.shape}")
    if node.type not in DTYPES:
        raise ModelError(f"{path}: {node.name}: expected one of {sorted(DTYPES)}, got {node.type}")
    return tuple(node.shape)
