"""Conversion of a graph's convolutions and fully connected layers to fp16; everything else stays fp32.

In a quantised graph, these are the values between the quantised ones and the layers left unquantised.
Boxes, sampling grids, scores, normalisation, attention and EM stay in fp32: in fp16 a box is off by half
a pixel and EM converges to other local optima. Strongly typed runtimes (TensorRT) take the precision
from the graph, whose inputs and outputs keep their types.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEAVY = ("Conv", "ConvTranspose", "Gemm")  # most of the run time; their weights are stored in fp16
LIGHT = {  # converted if their inputs are fp16: indices of their data inputs, None for all
    "BatchNormalization": None,
    "Relu": None,
    "Clip": None,
    "HardSwish": None,
    "Add": None,
    "MaxPool": (0,),
    "Resize": (0,),
    "Reshape": (0,),
    "Transpose": (0,),
    "Concat": None,
}
SCALED = {"QuantizeLinear": (0, 1), "DequantizeLinear": (1,)}  # inputs with the type of the scale
NUMBERS = LIGHT | SCALED


def to_half(model: onnx.ModelProto) -> None:
    """Convert the heavy layers of an fp32 graph, and light layers between them, to fp16 in place."""
    graph = model.graph
    written = _half_outputs(graph)
    constants = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT}
    narrow = {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT16}
    widened = [n for n in graph.node if n.op_type == "Cast" and n.input[0] in narrow]
    stored = {n.output[0]: n.input[0] for n in widened}  # fp32 name to name of the fp16 parameter
    new: list[onnx.NodeProto] = []
    narrowed: set[str] = set()

    def half(name: str) -> str:
        """Return the fp16 version of a value, creating it if needed."""
        if name in stored:
            return stored[name]
        twin = f"{name}_half"
        if name not in written and name not in narrowed:
            narrowed.add(name)
            if name in constants:
                graph.initializer.append(_halved(constants[name], twin))
            else:
                new.append(helper.make_node("Cast", [name], [twin], to=TensorProto.FLOAT16))
        return twin

    for node in graph.node:
        output = node.output[0]
        if output in written or (node.op_type == "QuantizeLinear" and node.input[0] in written):
            for index in _numbers(node):
                node.input[index] = half(node.input[index])
        new.append(node)
        if output in written:
            node.output[0] = f"{output}_half"
            new.append(helper.make_node("Cast", [node.output[0]], [output], to=TensorProto.FLOAT))
    _replace(graph, _used(graph, new))


def _half_outputs(graph: onnx.GraphProto) -> set[str]:
    """Return the outputs of the nodes to convert to fp16."""
    made: set[str] = set()
    gates, heavy = _gates(graph), layers(graph)
    for node in graph.node:  # in topological order
        numbers = [node.input[i] for i in _numbers(node)]
        light = node.op_type in LIGHT or node.output[0] in gates
        follows = light and all(n in made for n in numbers[: _data(node)])
        if follows or node.output[0] in heavy or node.op_type == "DequantizeLinear":
            made.add(node.output[0])
    return made


def layers(graph: onnx.GraphProto) -> set[str]:
    """Return the outputs of layers: heavy nodes whose weights are stored, perhaps rearranged.

    Products of two computed matrices (EM, memory reading) are no layers, nor is the fusion of memory and
    frame, whose weights are split.
    """
    stored = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "Split" and all(name in stored for name in node.input if name):
            stored.update(node.output)
    return {node.output[0] for node in graph.node if node.op_type in HEAVY and node.input[1] in stored}


def _gates(graph: onnx.GraphProto) -> set[str]:
    """Return the outputs of SiLU's nodes, x * sigmoid(x); other sigmoids and products stay in fp32."""
    sigmoids = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Sigmoid"}
    gates: set[str] = set()
    for node in graph.node:
        for gate, x in (node.input, reversed(node.input)) if node.op_type == "Mul" else ():
            if sigmoids.get(gate) == x:
                gates |= {gate, node.output[0]}
    return gates


def _numbers(node: onnx.NodeProto) -> list[int]:
    """Return the indices of a node's inputs to convert to fp16."""
    places = NUMBERS.get(node.op_type)
    return [i for i, name in enumerate(node.input) if name and (places is None or i in places)]


def _data(node: onnx.NodeProto) -> int:
    """Return how many leading inputs are data; the others are limits and the like."""
    return {"Add": 2, "Mul": 2, "Concat": len(node.input)}.get(node.op_type, 1)


def _halved(tensor: TensorProto, name: str) -> TensorProto:
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), name)


def _used(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Drop casts with unused outputs."""
    read = _read(graph, nodes)
    return [node for node in nodes if node.op_type != "Cast" or node.output[0] in read]


def _read(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> set[str]:
    """Return the names that nodes read or the graph outputs, which may be constants."""
    return {name for node in nodes for name in node.input} | {value.name for value in graph.output}


def _replace(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    del graph.node[:]
    graph.node.extend(nodes)
    read = _read(graph, nodes)
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]  # outdated types
