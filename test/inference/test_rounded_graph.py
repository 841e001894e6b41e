"""A small graph of Q/DQ, written by hand: what becomes 16 bits, and that ONNX Runtime keeps its numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper, parser, shape_inference

from pcan_model.export.fp16 import to_half
from pcan_model.inference.onnx_engine import DISABLED_OPTIMIZERS

GRAPH = """<ir_version: 9, opset_import: ["" : 19]>
g (float[1,4,8,8] x) => (float[1,4,8,8] y) {
    a = QuantizeLinear(x, fine, zero)
    b = DequantizeLinear(a, fine, zero)
    v = DequantizeLinear<axis = 0>(first, steps, zeros)
    c = Conv<pads = [1, 1, 1, 1]>(b, v, bias)
    d = Relu(c)
    e = QuantizeLinear(d, fine, zero)
    f = DequantizeLinear(e, fine, zero)
    w = DequantizeLinear<axis = 0>(second, coarse, zeros)
    h = Conv(f, w, bias)
    y = Softmax<axis = 1>(h)
}"""


@pytest.fixture
def rounded() -> onnx.ModelProto:
    random = np.random.default_rng(0)
    model = parser.parse_model(GRAPH)
    constants = {
        "fine": np.array(4e-4, np.float32), "zero": np.array(0, np.int8),
        "steps": np.full(4, 3e-5, np.float32), "coarse": np.full(4, 0.02, np.float32),
        "zeros": np.zeros(4, np.int8),
        "first": random.integers(-127, 128, (4, 4, 3, 3)).astype(np.int8),
        "second": random.integers(-127, 128, (4, 4, 1, 1)).astype(np.int8),
        "bias": random.normal(0, 0.02, 4).astype(np.float32),
    }  # fmt: skip
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return model


def run(model: onnx.ModelProto, path: Path, *left_out: str, rewritten: bool = True) -> np.ndarray:
    onnx.save(model, path)
    options, levels = onnxruntime.SessionOptions(), onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if rewritten else levels.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=list(left_out)
    )
    pixels = np.random.default_rng(1).normal(0, 0.03, (1, 4, 8, 8)).astype(np.float32)
    return np.log(session.run(None, {"x": pixels})[0])


def test_between_rounded_values_and_behind_them_all_is_in_16_bits(rounded: onnx.ModelProto) -> None:
    to_half(rounded)
    onnx.checker.check_model(rounded, full_check=True)
    graph = shape_inference.infer_shapes(rounded).graph
    types = {v.name: v.type.tensor_type.elem_type for v in graph.value_info}
    narrow = {name for name, kind in types.items() if kind == TensorProto.FLOAT16}
    assert narrow == {f"{name}_half" for name in "bvcdfwh"}
    assert types["a"] == types["e"] == TensorProto.INT8
    assert [node.op_type for node in graph.node].count("Cast") == 1, "before the softmax; constants need none"
    kinds = {t.name: t.data_type for t in graph.initializer}
    assert kinds["fine"] == TensorProto.FLOAT, "the input is rounded as it comes"
    assert kinds["fine_half"] == kinds["bias_half"] == TensorProto.FLOAT16 and "bias" not in kinds


def test_in_16_bits_it_computes_what_it_does_in_32(rounded: onnx.ModelProto, tmp_path: Path) -> None:
    whole = run(rounded, tmp_path / "whole.onnx", rewritten=False)
    to_half(rounded)
    np.testing.assert_allclose(run(rounded, tmp_path / "half.onnx", rewritten=False), whole, atol=2e-3)


def test_onnx_runtime_rewrites_it_without_another_result(rounded: onnx.ModelProto, tmp_path: Path) -> None:
    to_half(rounded)
    plain = run(rounded, tmp_path / "plain.onnx", rewritten=False)
    np.testing.assert_allclose(run(rounded, tmp_path / "ours.onnx", *DISABLED_OPTIMIZERS), plain, atol=1e-3)
