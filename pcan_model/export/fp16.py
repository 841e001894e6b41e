"""A graph's convolutions and fully connected layers in 16 bits; everything else stays in 32.

Of a graph in 8 bits that is what lies between the rounded values, and the layers that were not rounded.
Boxes, sampling grids, scores, normalisation, attention and EM are islands of float32: in 16 bits a box
is off by half a pixel and EM falls into other local optima. Runtimes that type strongly (TensorRT) take
the precision from here; the inputs and outputs of the graph keep their types.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEAVY = ("Conv", "ConvTranspose", "Gemm")  # where the time goes; their weights are stored in 16 bits
LIGHT = {  # follow a half input: which of their inputs are numbers of the image, None for all
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
SCALED = {"QuantizeLinear": (0, 1), "DequantizeLinear": (1,)}  # numbers here are of the type of the scale
NUMBERS = LIGHT | SCALED


def to_half(model: onnx.ModelProto) -> None:
    """Let the heavy layers of a graph of float32, and what lies between them, compute in 16 bits."""
    graph = model.graph
    written = _half_outputs(graph)
    constants = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT}
    narrow = {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT16}
    widened = [n for n in graph.node if n.op_type == "Cast" and n.input[0] in narrow]
    stored = {n.output[0]: n.input[0] for n in widened}  # name in 32 bits: name of the parameter in 16
    new: list[onnx.NodeProto] = []
    narrowed: set[str] = set()

    def half(name: str) -> str:
        """Return the 16-bit twin of a value, made where there is none yet."""
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
    """Return the outputs of the nodes that shall compute in 16 bits."""
    made: set[str] = set()
    gates = _gates(graph)
    for node in graph.node:  # in the order of their dependence
        numbers = [node.input[i] for i in _numbers(node)]
        light = node.op_type in LIGHT or node.output[0] in gates
        follows = light and all(n in made for n in numbers[: _data(node)])
        if follows or node.op_type in (*HEAVY, "DequantizeLinear"):
            made.add(node.output[0])
    return made


def _gates(graph: onnx.GraphProto) -> set[str]:
    """Return the outputs of the nodes of SiLU, x * sigmoid(x); other sigmoids and products are islands."""
    sigmoids = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Sigmoid"}
    gates: set[str] = set()
    for node in graph.node:
        for gate, x in (node.input, reversed(node.input)) if node.op_type == "Mul" else ():
            if sigmoids.get(gate) == x:
                gates |= {gate, node.output[0]}
    return gates


def _numbers(node: onnx.NodeProto) -> list[int]:
    """Return the places of a node's inputs that become 16 bits."""
    places = NUMBERS.get(node.op_type)
    return [i for i, name in enumerate(node.input) if name and (places is None or i in places)]


def _data(node: onnx.NodeProto) -> int:
    """Return how many of the first inputs come from layers; the others are limits and the like."""
    return {"Add": 2, "Mul": 2, "Concat": len(node.input)}.get(node.op_type, 1)


def _halved(tensor: TensorProto, name: str) -> TensorProto:
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), name)


def _used(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Leave out casts that nobody reads."""
    read = _read(graph, nodes)
    return [node for node in nodes if node.op_type != "Cast" or node.output[0] in read]


def _read(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> set[str]:
    """Return the names that nodes take or the graph gives; what it gives may be a constant."""
    return {name for node in nodes for name in node.input} | {value.name for value in graph.output}


def _replace(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    del graph.node[:]
    graph.node.extend(nodes)
    read = _read(graph, nodes)
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]  # it says float32 of what is not any more
