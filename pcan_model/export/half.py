"""A graph's convolutions and fully connected layers in 16 bits; everything else stays in 32.

Boxes, sampling grids, scores, normalisation, attention and EM are islands of float32: in 16 bits a box
is off by half a pixel and EM falls into other local optima. Runtimes that type strongly (TensorRT) take
the precision from here; the inputs and outputs of the graph keep their types.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

HEAVY = ("Conv", "ConvTranspose", "Gemm")  # where the time goes; their weights are stored in 16 bits
LIGHT = {  # follow a half input: which of their inputs are numbers of the picture, None for all
    "BatchNormalization": None,
    "Relu": None,
    "Clip": None,
    "HardSwish": None,
    "Add": None,
    "MaxPool": (0,),
    "Resize": (0,),
    "Reshape": (0,),
    "Transpose": (0,),
}


def to_half(model: onnx.ModelProto) -> None:
    """Let the heavy layers of a graph of float32, and what lies between them, compute in 16 bits."""
    graph = model.graph
    written = _half_outputs(graph)
    narrow = {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT16}
    widened = [n for n in graph.node if n.op_type == "Cast" and n.input[0] in narrow]
    stored = {n.output[0]: n.input[0] for n in widened}  # name in 32 bits: name of the parameter in 16
    new: list[onnx.NodeProto] = []
    narrowed: dict[str, str] = {}

    def half(name: str) -> str:
        """Return the 16-bit twin of a value, made where there is none yet."""
        if name in written:
            return f"{name}_half"
        if name in stored:
            return stored[name]
        if name not in narrowed:
            narrowed[name] = f"{name}_half"
            new.append(helper.make_node("Cast", [name], [narrowed[name]], to=TensorProto.FLOAT16))
        return narrowed[name]

    for node in graph.node:
        if node.output[0] not in written:
            new.append(node)
            continue
        for index in _numbers(node):
            node.input[index] = half(node.input[index])
        output = node.output[0]
        node.output[0] = f"{output}_half"
        new += [node, helper.make_node("Cast", [node.output[0]], [output], to=TensorProto.FLOAT)]
    _replace(graph, _used(graph, new))


def _half_outputs(graph: onnx.GraphProto) -> set[str]:
    """Return the outputs of the nodes that shall compute in 16 bits."""
    made: set[str] = set()
    for node in graph.node:  # in the order of their dependence
        numbers = [node.input[i] for i in _numbers(node)]
        follows = node.op_type in LIGHT and all(n in made for n in numbers[: _data(node)])
        if node.op_type in HEAVY or follows:
            made.add(node.output[0])
    return made


def _numbers(node: onnx.NodeProto) -> list[int]:
    """Return the places of a node's inputs that become 16 bits."""
    places = LIGHT.get(node.op_type)
    return [i for i, name in enumerate(node.input) if name and (places is None or i in places)]


def _data(node: onnx.NodeProto) -> int:
    """Return how many of the first inputs come from layers; the others are limits and the like."""
    return 2 if node.op_type == "Add" else 1


def _used(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Leave out casts that nobody reads."""
    read = {name for node in nodes for name in node.input} | {value.name for value in graph.output}
    return [node for node in nodes if node.op_type != "Cast" or node.output[0] in read]


def _replace(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]  # it says float32 of what is not any more
