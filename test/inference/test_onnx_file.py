"""What a graph declares, read without the `onnx` package: as that reads it, and no bytes do any harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from pcan_model.inference.onnx_file import MalformedOnnx, read_onnx

MODEL = Path(__file__).parents[2] / "models" / "pcan_street_tiny"


@pytest.mark.parametrize("name", ["frame", "instance"])
def test_it_reads_what_onnx_reads(name: str) -> None:
    found = read_onnx(MODEL / f"{name}.onnx")
    graph = onnx.load(MODEL / f"{name}.onnx", load_external_data=False).graph
    stored = {
        entry.value
        for tensor in graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    assert found.locations == stored == {"weights.safetensors"}
    for tensor in graph.initializer:
        assert found.sizes[tensor.name] == np.prod(tensor.dims, dtype=np.int64)
    for value in (*graph.input, *graph.output):
        sides = [side.dim_value for side in value.type.tensor_type.shape.dim]
        assert found.sizes[value.name] == np.prod(sides, dtype=np.int64)


def test_cut_and_changed_graphs_are_refused_or_read_but_nothing_else_happens(tmp_path: Path) -> None:
    whole, path = (MODEL / "instance.onnx").read_bytes(), tmp_path / "x.onnx"
    random, refused = np.random.default_rng(0), 0
    for _ in range(150):
        content = bytearray(whole[: random.integers(len(whole))])
        for at in random.integers(len(content) or 1, size=min(8, len(content))):
            content[at] = random.integers(256)
        path.write_bytes(content)
        try:
            read_onnx(path)
        except MalformedOnnx as error:
            refused += "\n" not in str(error)
    assert refused > 100


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no graph", "a field of"),
        (b"\x80" * 20, "a number that does not end"),
        (b"\x38\x01", "a number where a message was expected"),
        (b"\x3a\x7f", "a field of 127 bytes where 0 are left"),
        (b"\x3b", "a field of unknown kind 3"),
    ],
)
def test_what_is_no_graph_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(MalformedOnnx, match=message):
        read_onnx(tmp_path / "x.onnx")


def test_graphs_within_graphs_have_an_end(tmp_path: Path) -> None:
    graph = b""
    for _ in range(100):
        for number in (6, 5, 1):  # attribute's graph, node's attribute, graph's node
            graph = bytes([number << 3 | 2]) + varint(len(graph)) + graph
    (tmp_path / "x.onnx").write_bytes(b"\x3a" + varint(len(graph)) + graph)
    with pytest.raises(MalformedOnnx, match="more than 64 deep"):
        read_onnx(tmp_path / "x.onnx")


def varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])
