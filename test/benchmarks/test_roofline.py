"""FLOPs and bytes of small graphs, counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import parser

from benchmarks.roofline import PRODUCTS, Gpu, Layer, crossing, layers, seconds

if TYPE_CHECKING:
    from pcan_model.model.pcan import PCAN


def graph(text: str, **constants: tuple[int, ...]) -> onnx.ModelProto:
    """Return a model of a graph in ONNX's text form, with zeros of some shapes as its weights."""
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 18]> {text}')
    for name, shape in constants.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name))
    return model


def only(model: onnx.ModelProto) -> Layer:
    (layer,) = layers(model)
    return layer


def test_a_convolution() -> None:
    text = "g (float[1,6,10,12] x) => (float[1,4,10,12] y) { y = Conv<group=2, pads=[1,1,1,1]>(x, w) }"
    layer = only(graph(text, w=(4, 3, 3, 3)))
    assert layer.flops == 2 * (4 * 10 * 12) * (3 * 3 * 3)
    assert layer.numbers == 6 * 10 * 12 + 4 * 3 * 3 * 3 + 4 * 10 * 12
    assert layer.heavy


def test_a_transposed_convolution() -> None:
    text = "g (float[5,6,7,7] x) => (float[5,4,14,14] y) { y = ConvTranspose<strides=[2,2]>(x, w) }"
    assert only(graph(text, w=(6, 4, 2, 2))).flops == 2 * (5 * 6 * 7 * 7) * (4 * 2 * 2)


def test_matrix_products() -> None:
    text = "g (float[8,3] x) => (float[8,5] y) { y = Gemm<transB=1>(x, w, b) }"
    assert only(graph(text, w=(5, 3), b=(5,))).flops == 2 * 8 * 5 * 3
    turned = "g (float[3,8] x) => (float[8,5] y) { y = Gemm<transA=1>(x, w) }"
    assert only(graph(turned, w=(3, 5))).flops == 2 * 8 * 5 * 3
    batched = "g (float[2,8,3] x, float[2,3,5] z) => (float[2,8,5] y) { y = MatMul(x, z) }"
    layer = only(graph(batched))
    assert layer.flops == 2 * 2 * 8 * 5 * 3 and not layer.heavy


def test_pointwise_operators_ride_along_and_read_only_what_is_new() -> None:
    text = """g (float[1,4,5,5] x, float[1,4,5,5] z) => (float[1,4,5,5] y)
        { a = Conv(x, w)  b = Relu(a)  y = Add(b, z) }"""
    _, relu, add = layers(graph(text, w=(4, 4, 1, 1)))
    assert relu.fused and relu.numbers == 0 and relu.flops == 100
    assert add.fused and add.numbers == 100


def test_a_pointwise_operator_on_the_inputs_is_a_kernel() -> None:
    layer = only(graph("g (float[4,5] x) => (float[4,5] y) { y = Relu(x) }"))
    assert not layer.fused and layer.numbers == 40


def test_weights_that_are_widened_and_views_are_free() -> None:
    text = """g (float[8,3] x) => (float[40] y)
        { v = Cast<to=1>(w)  a = MatMul(x, v)  s = Constant<value = int64[1] {40}>()  y = Reshape(a, s) }"""
    assert [layer.kind for layer in layers(graph(text, w=(3, 5)))] == ["MatMul"]


def test_a_slice_reads_what_it_puts_out() -> None:
    text = """g (float[100,3] x) => (float[10,3] y)
        { a = Constant<value = int64[1] {0}>()  b = Constant<value = int64[1] {10}>()  y = Slice(x, a, b) }"""
    assert only(graph(text)).numbers == 60


def test_a_shape_that_varies_is_refused() -> None:
    with pytest.raises(SystemExit, match="expected a fixed shape of x, got none"):
        layers(graph("g (float[N,3] x) => (float[N,3] y) { y = Relu(x) }"))


def test_the_roofline_is_the_longer_of_computing_and_moving() -> None:
    gpu = Gpu("toy", {"fp32": 10.0, "fp16": 40.0}, bandwidth=8.0)
    computes = Layer("a", "Conv", flops=400, numbers=4)
    moves = Layer("b", "Conv", flops=40, numbers=80)
    island = Layer("c", "MatMul", flops=400, numbers=4)
    assert [seconds(x, gpu, "fp16") for x in (computes, moves, island)] == [10, 80 * 2 / 8, 40]
    assert [seconds(x, gpu, "fp32") for x in (computes, moves)] == [40, 80 * 4 / 8]


def test_bytes_of_ports_follow_their_types() -> None:
    model = graph("g (uint8[1,4,6,3] x) => (float16[5] y, int64[2,2] z, bool ok) { y = F(x) }")
    assert crossing([model.graph]) == {"x": 72, "y": 10, "z": 32, "ok": 1}


def test_the_products_of_an_exported_pass_are_those_that_torch_counts(
    exported: Path, random_net: PCAN
) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    from pcan_model.export.onnx_graph import example_inputs
    from pcan_model.model.pass_signature import grid_sample

    signature = grid_sample(random_net)
    frame, _ = example_inputs(random_net.config, signature)
    with FlopCounterMode(display=False) as counter:
        signature.frame(*frame)
    model = onnx.load(exported / "frame.onnx", load_external_data=False)
    ours = sum(layer.flops for layer in layers(model) if layer.kind in PRODUCTS)
    assert ours == counter.get_total_flops()
