"""Quantisation to 8 bits by explicit Q/DQ nodes with NVIDIA ModelOpt, for TensorRT and OpenVINO.

Only convolutions and fully connected layers are quantised; EM, memory reading, boxes and NMS are matrix
products and arithmetic, which are not.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from pcan_model.core.config import ConfigError
from pcan_model.export.fp16 import layers
from pcan_model.export.samples import Arrays, CalibrationSample

LAYERS = {"int8": ("Conv", "ConvTranspose", "Gemm"), "fp8": ("Conv", "Gemm")}  # all that TensorRT has in fp8
SMALLEST = 2.0**-14  # the least normal number in 16 bits
INSTALL = "pip install 'pcan_ros[quantize]' && pip install --no-deps nvidia-modelopt==0.47.0"
Progress = Callable[[], object]


class Reader:
    """Iterates over calibration samples, like `onnxruntime.quantization.CalibrationDataReader`."""

    def __init__(self, samples: Sequence[CalibrationSample], progress: Progress) -> None:
        self._samples, self._progress = samples, progress
        self._left: Iterator[CalibrationSample] = iter(samples)

    def get_next(self) -> Arrays | None:
        """Return the next sample's arrays, None after the last."""
        sample = next(self._left, None)
        if sample is None:
            return None
        self._progress()
        return sample.read()

    def get_first(self) -> Arrays:
        """Return the first sample's arrays."""
        return self._samples[0].read()

    def rewind(self) -> None:
        """Restart from the first sample."""
        self._left = iter(self._samples)


def check_quantiser() -> None:
    """Raise ConfigError with the installation command if ModelOpt is missing."""
    try:
        _modelopt()
    except ImportError as error:
        raise ConfigError(f"--precision: int8 and fp8 need ModelOpt ({error}): {INSTALL}") from error


def quantise(
    path: Path,
    precision: str,
    samples: Sequence[CalibrationSample],
    progress: Progress = lambda: None,
    *,
    stem: int = 0,
) -> None:
    """Quantise the heavy layers of a graph with its own weights to 8 bits, in place.

    precision  a key of LAYERS
    samples    calibration samples, from which the scales of activations are computed
    stem       number of first heavy layers that are not quantised
    """
    run, graph = _modelopt(), onnx.load(path).graph
    heavy = layers(graph)
    candidates = [n for n in graph.node if n.op_type in LAYERS["int8"]]
    quantised = [n for n in candidates if n.output[0] in heavy][stem:]
    left = [n.name for n in candidates if n not in quantised]
    with redirect_stdout(io.StringIO()):  # verbose
        run(
            str(path),
            quantize_mode=precision,
            calibration_data_reader=Reader(samples, progress),
            calibration_method="max",  # entropy is slower and tracks no better
            calibration_eps=["cpu"],
            op_types_to_quantize=list(LAYERS[precision]),
            nodes_to_exclude=[f"^{re.escape(name)}$" for name in left],
            high_precision_dtype="fp32",
            dq_only=True,  # store weights in 8 bits instead of quantising them when loaded
            enable_gemv_detection_for_trt=False,
            output_path=str(path),
            log_level="CRITICAL",
        )
    model = onnx.load(path)
    restore_exact_inputs(model)
    raise_scales(model)
    del model.metadata_props[:]
    onnx.save(model, path)


def restore_exact_inputs(model: onnx.ModelProto) -> None:
    """Connect all nodes but heavy layers to the values before quantisation.

    A heavy layer's input is often also read by a sum, RoI pooling or EM, and the quantiser gives all of them
    the quantised value; the exact one is available at no cost and keeps masks closer.
    """
    made = {output: node for node in model.graph.node for output in node.output}
    exact = {
        dq.output[0]: made[dq.input[0]].input[0]
        for dq in model.graph.node
        if dq.op_type == "DequantizeLinear" and dq.input[0] in made
    }
    for node in model.graph.node:
        if node.op_type not in LAYERS["int8"]:
            for i, name in enumerate(node.input):
                node.input[i] = exact.get(name, name)


def raise_scales(model: onnx.ModelProto) -> None:
    """Raise scales of activations below SMALLEST to it; TensorRT refuses a scale that is 0 in 16 bits.

    A layer whose input was nearly 0 in all calibration images has such a scale.
    """
    scales = {node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    for tensor in model.graph.initializer:
        if tensor.name in scales:
            values = numpy_helper.to_array(tensor)
            raised = np.maximum(values, values.dtype.type(SMALLEST))
            tensor.CopyFrom(numpy_helper.from_array(raised, tensor.name))


def _modelopt() -> Any:
    """Import ModelOpt late: it is slow to import, and only needed for 8 bits."""
    logging.getLogger("modelopt").setLevel(logging.CRITICAL)
    from modelopt.onnx.quantization import quantize

    return quantize
