"""External weights: the graphs refer to the tensors in the checkpoint file.

Every parameter is an ONNX tensor with external data. A safetensors file stores each tensor as raw bytes,
so a model stores its weights once, in fp16, and a Cast in the graph converts them to fp32 on loading.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

EXTERNAL_FROM = 256  # bytes; smaller tensors stay in the graph


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Byte range of a tensor in a safetensors file."""

    dtype: str  # "F16" | "F32"
    offset: int  # bytes from the start of the file
    length: int  # bytes


def byte_ranges(path: Path) -> dict[str, ByteRange]:
    """Read the byte range of each tensor in a safetensors file."""
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    base = 8 + size
    return {
        name: ByteRange(
            entry["dtype"],
            base + entry["data_offsets"][0],
            entry["data_offsets"][1] - entry["data_offsets"][0],
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }


def point_outside(model: onnx.ModelProto, weights: Path, stored: dict[str, str]) -> None:
    """Replace parameters by references into the weights file, each followed by a Cast to fp32."""
    ranges, kept, casts = byte_ranges(weights), [], []
    for tensor in model.graph.initializer:
        part = ranges.get(stored.get(tensor.name, ""))
        if part is None or part.dtype != "F16" or part.length < EXTERNAL_FROM:
            kept.append(tensor)
            continue
        kept.append(_external(tensor, part, weights.name))
        casts.append(helper.make_node("Cast", [f"{tensor.name}_f16"], [tensor.name], to=TensorProto.FLOAT))
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for info in [v for v in model.graph.value_info if v.name in stored]:
        model.graph.value_info.remove(info)


def point_inside(model: onnx.ModelProto) -> None:
    """Undo `point_outside`: replace each Cast of a weight by the weight in fp32.

    model  with its external data loaded
    """
    graph = model.graph
    weights = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT16}
    casts = [n for n in graph.node if n.op_type == "Cast" and n.input[0] in weights]
    for cast in casts:
        values = numpy_helper.to_array(weights[cast.input[0]]).astype(np.float32)
        weights[cast.input[0]].CopyFrom(numpy_helper.from_array(values, cast.output[0]))
        graph.node.remove(cast)


def _external(tensor: TensorProto, part: ByteRange, location: str) -> TensorProto:
    outside = TensorProto(name=f"{tensor.name}_f16", data_type=TensorProto.FLOAT16, dims=tensor.dims)
    outside.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", part.offset), ("length", part.length)):
        outside.external_data.add(key=key, value=str(value))
    return outside
