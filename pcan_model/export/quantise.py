"""8 bits by explicit Q/DQ in the graph, by NVIDIA's ModelOpt: what TensorRT and OpenVINO take as it is.

Only convolutions and fully connected layers are rounded. EM, readout, boxes and suppression are matrix
products and arithmetic, which are not.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import onnx

from pcan_model.core.config import ConfigError
from pcan_model.export.samples import Arrays, CalibrationSample

LAYERS = {"int8": ("Conv", "ConvTranspose", "Gemm"), "fp8": ("Conv", "Gemm")}  # TensorRT has no others in FP8
INSTALL = "pip install 'pcan_ros[quantize]' && pip install --no-deps nvidia-modelopt==0.47.0"
Progress = Callable[[], object]


class Reader:
    """Hands samples to the calibration one by one, as `onnxruntime.quantization.CalibrationDataReader`."""

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
        """Begin anew."""
        self._left = iter(self._samples)


def check_quantiser() -> None:
    """Raise ConfigError with the command that installs ModelOpt where it is missing."""
    try:
        _modelopt()
    except ImportError as error:
        raise ConfigError(f"--precision: int8 and fp8 need ModelOpt ({error}): {INSTALL}") from error


def quantise(
    path: Path, precision: str, samples: Sequence[CalibrationSample], progress: Progress = lambda: None
) -> None:
    """Let the heavy layers of a graph with its own weights compute in 8 bits, in place.

    precision  one of LAYERS
    samples    of its inputs, which activations get their scales from
    """
    run = _modelopt()
    with redirect_stdout(io.StringIO()):  # it chats
        run(
            str(path),
            quantize_mode=precision,
            calibration_data_reader=Reader(samples, progress),
            calibration_method="max",  # entropy takes longer and tracks no better
            calibration_eps=["cpu"],
            op_types_to_quantize=list(LAYERS[precision]),
            high_precision_dtype="fp32",
            dq_only=True,  # weights stored in 8 bits, not rounded when loaded
            enable_gemv_detection_for_trt=False,
            output_path=str(path),
            log_level="CRITICAL",
        )
    model = onnx.load(path)
    release_others(model)
    del model.metadata_props[:]
    onnx.save(model, path)


def release_others(model: onnx.ModelProto) -> None:
    """Let whatever is no heavy layer read what was there before the rounding.

    A layer's input is often a sum's, a region's or EM's too, and the quantiser gives all of them the rounded
    value; the exact one is at hand, costs no time and keeps masks closer.
    """
    made = {output: node for node in model.graph.node for output in node.output}
    exact = {
        dq.output[0]: made[dq.input[0]].input[0]
        for dq in model.graph.node
        if dq.op_type == "DequantizeLinear" and dq.input[0] in made
    }
    for node in model.graph.node:
        if node.op_type not in LAYERS["int8"]:
            for place, name in enumerate(node.input):
                node.input[place] = exact.get(name, name)


def _modelopt() -> Any:
    """Import it only now: it takes long, and only 8 bits need it."""
    logging.getLogger("modelopt").setLevel(logging.CRITICAL)
    from modelopt.onnx.quantization import quantize

    return quantize
