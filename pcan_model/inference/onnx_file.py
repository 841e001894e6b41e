"""Inspection of an ONNX file before a runtime loads it: external data files and tensor sizes.

ONNX is a protocol buffer (onnx.proto). Only the fields needed are read, so that a robot does not need the
`onnx` package.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

# Field numbers in onnx.proto.
MODEL_GRAPH, MODEL_FUNCTIONS = 7, 25
GRAPH_NODES, GRAPH_INITIALIZERS, GRAPH_INPUTS, GRAPH_OUTPUTS, GRAPH_SPARSE = 1, 5, 11, 12, 15
FUNCTION_NODES, NODE_ATTRIBUTES = 7, 5
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = 5, 6, 10, 11
ATTRIBUTE_SPARSE, ATTRIBUTE_SPARSES = 22, 23
SPARSE_VALUES, SPARSE_INDICES = 1, 2
TENSOR_DIMS, TENSOR_NAME, TENSOR_EXTERNAL, ENTRY_KEY, ENTRY_VALUE = 1, 8, 13, 1, 2
INFO_NAME, INFO_TYPE, TYPE_TENSOR, TYPE_SHAPE, SHAPE_DIM, DIM_VALUE = 1, 2, 1, 2, 1, 1
VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5  # wire types
DEPTH = 64  # limit of nested graphs
DIMS = 64  # limit of a tensor's dimensions

Value = int | memoryview


class MalformedOnnx(ValueError):
    """Invalid protocol buffer."""


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """The declarations of an ONNX file."""

    locations: set[str] = field(default_factory=set)  # files of external data, as the graph names them
    sizes: dict[str, int] = field(default_factory=dict)  # values of inputs, outputs and stored tensors


def read_onnx(path: Path) -> OnnxFile:
    """Read the declarations of a file in time linear in its size; raises MalformedOnnx."""
    found = OnnxFile()
    _read_model(memoryview(path.read_bytes()), found)
    return found


def _read_model(data: memoryview, found: OnnxFile) -> None:
    for number, value in _fields(data):
        if number == MODEL_GRAPH:
            _read_graph(_bytes(value), found, DEPTH)
        elif number == MODEL_FUNCTIONS:
            for part, node in _fields(_bytes(value)):
                if part == FUNCTION_NODES:
                    _read_node(_bytes(node), found, DEPTH)


def _read_graph(data: memoryview, found: OnnxFile, depth: int) -> None:
    if not depth:
        raise MalformedOnnx(f"graphs within graphs, more than {DEPTH} deep")
    for number, value in _fields(data):
        if number == GRAPH_NODES:
            _read_node(_bytes(value), found, depth)
        elif number == GRAPH_INITIALIZERS:
            _read_tensor(_bytes(value), found)
        elif number == GRAPH_SPARSE:
            _read_sparse(_bytes(value), found)
        elif number in (GRAPH_INPUTS, GRAPH_OUTPUTS):
            _read_info(_bytes(value), found)


def _read_node(data: memoryview, found: OnnxFile, depth: int) -> None:
    attributes = (_bytes(value) for number, value in _fields(data) if number == NODE_ATTRIBUTES)
    for attribute in attributes:
        for number, value in _fields(attribute):
            if number in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
                _read_tensor(_bytes(value), found)
            elif number in (ATTRIBUTE_SPARSE, ATTRIBUTE_SPARSES):
                _read_sparse(_bytes(value), found)
            elif number in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
                _read_graph(_bytes(value), found, depth - 1)


def _read_sparse(data: memoryview, found: OnnxFile) -> None:
    for number, value in _fields(data):
        if number in (SPARSE_VALUES, SPARSE_INDICES):
            _read_tensor(_bytes(value), found)


def _read_tensor(data: memoryview, found: OnnxFile) -> None:
    dims, name = list[int](), ""
    for number, value in _fields(data):
        if number == TENSOR_DIMS:
            dims += [value] if isinstance(value, int) else _packed(value)
        elif number == TENSOR_NAME:
            name = _text(value)
        elif number == TENSOR_EXTERNAL:
            entry = {part: _text(text) for part, text in _fields(_bytes(value))}
            if entry.get(ENTRY_KEY) == "location":
                found.locations.add(entry.get(ENTRY_VALUE, ""))
    _note(found, name, dims)


def _read_info(data: memoryview, found: OnnxFile) -> None:
    """Read name and shape of a ValueInfoProto; dynamic dimensions count as 1."""
    dims, name = list[int](), ""
    for number, value in _fields(data):
        if number == INFO_NAME:
            name = _text(value)
        elif number == INFO_TYPE:
            for shape in _descend(_bytes(value), TYPE_TENSOR, TYPE_SHAPE, SHAPE_DIM):
                dims += [side for part, side in _fields(shape) if part == DIM_VALUE and isinstance(side, int)]
    _note(found, name, dims)


def _note(found: OnnxFile, name: str, dims: list[int]) -> None:
    if len(dims) > DIMS:
        raise MalformedOnnx(f"a tensor of {len(dims)} dimensions")
    found.sizes[name] = max(found.sizes.get(name, 0), prod(dims))


def _descend(data: memoryview, *numbers: int) -> Iterator[memoryview]:
    """Yield the messages at a path of field numbers."""
    if not numbers:
        yield data
        return
    for number, value in _fields(data):
        if number == numbers[0]:
            yield from _descend(_bytes(value), *numbers[1:])


def _fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield the fields of a message: integers, or bytes for all other types."""
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == BYTES:
            length, at = _varint(data, at)
        elif wire in (EIGHT_BYTES, FOUR_BYTES):
            length = 8 if wire == EIGHT_BYTES else 4
        else:
            raise MalformedOnnx(f"a field of unknown kind {wire}")
        if length > end - at:
            raise MalformedOnnx(f"a field of {length} bytes where {end - at} are left")
        yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return an integer encoded in seven bits per byte, and the position after it."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise MalformedOnnx("a number that does not end")
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _packed(data: memoryview) -> list[int]:
    values, at = list[int](), 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise MalformedOnnx("a number where a message was expected")
    return value


def _text(value: Value) -> str:
    try:
        return bytes(_bytes(value)).decode()
    except UnicodeDecodeError as error:
        raise MalformedOnnx("a name that is no text") from error
