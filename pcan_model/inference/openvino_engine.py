"""PCAN on OpenVINO, an optional runtime for x86 CPUs (`pip install 'pcan_ros[openvino]'`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.inference.errors import ModelError
from pcan_model.inference.graphs import GraphSignature, Shape, signature_of
from pcan_model.inference.host_engine import HostEngine
from pcan_model.inference.manifest import ModelFiles
from pcan_model.model.pass_names import GRAPHS

EIGHT_BITS = ("int8", "fp8")
INSTALL = "openvino is not installed: pip install openvino==2026.4.1"


class OpenVinoEngine(HostEngine):
    """Engine on OpenVINO's CPU device, computing in the precision of the graph."""

    name = "openvino"

    def __init__(self, model_dir: Path, threads: int | None = None, size: str = "") -> None:
        try:
            import openvino
        except ImportError as error:
            raise ModelError(f"backend: {INSTALL}") from error
        core = openvino.Core()
        files = ModelFiles(model_dir, size)
        check_precision(files)
        frame, instance = (
            OpenVinoNetwork(core, files.graph(name), signature_of(files, name), threads) for name in GRAPHS
        )
        version = openvino.__version__.split("-")[0]
        super().__init__(files, frame, instance, f"OpenVINO {version}, CPU")


def check_precision(files: ModelFiles) -> None:
    """Raise ModelError for a model in 8 bits that OpenVINO computes wrongly.

    In the YOLOX detector its error grows from layer to layer until no score is left, where ONNX Runtime
    finds the objects with the same graph (docs/precision.md).
    """
    manifest = files.manifest
    if manifest.config.detector == "yolox" and manifest.precision in EIGHT_BITS:
        raise ModelError(
            f"{files.folder}: precision: expected fp32 or fp16 for the yolox detector in OpenVINO, got "
            f"{manifest.precision}; use --engine onnx or backend:=onnxruntime"
        )


class OpenVinoNetwork:
    """An ONNX graph of static shapes; each run writes into new tensors."""

    def __init__(self, core: Any, path: Path, signature: GraphSignature, threads: int | None) -> None:
        self._signature = signature
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }  # the default is bfloat16 on some CPUs
        if threads:
            options["INFERENCE_NUM_THREADS"] = str(threads)
        try:
            compiled = core.compile_model(core.read_model(path), "CPU", options)
        except RuntimeError as error:
            raise ModelError(f"{path}: OpenVINO cannot load it: {str(error).splitlines()[-1]}") from error
        both = compiled.inputs, compiled.outputs
        signature.check(path, *([port.any_name for port in side] for side in both))
        self._ports = {port.any_name: port for side in both for port in side}
        self._request = compiled.create_infer_request()

    def shape(self, name: str) -> Shape:
        """Return the shape of an input or output."""
        return tuple(self._ports[name].shape)

    def zeros(self, name: str) -> Any:
        """Return an input of zeros."""
        value = self._empty(name)
        value.data[...] = 0
        return value

    def run(self, *values: Any) -> dict[str, Any]:
        """Run the graph on arrays or tensors, in the order of the inputs."""
        for name, value in zip(self._signature.inputs, values, strict=True):
            if isinstance(value, np.ndarray):
                array, value = value, self._empty(name)
                value.data[...] = array
            self._request.set_tensor(self._ports[name], value)
        out = {name: self._empty(name) for name in self._signature.outputs}
        for name, value in out.items():
            self._request.set_tensor(self._ports[name], value)
        self._request.infer()
        return out

    def read(self, value: Any) -> NDArray[Any]:
        """Return a tensor as an array that shares its memory and keeps it alive."""
        return value.data

    def _empty(self, name: str) -> Any:
        import openvino

        port = self._ports[name]
        return openvino.Tensor(port.element_type, port.shape)
