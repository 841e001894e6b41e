"""Stand-in networks for a batch of cameras, composed of copies of those for one camera."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper
from support import telltale
from support.squares import MEMORY, NEXT, OUTPUTS


def export_batched(folder: Path, cameras: int) -> Path:
    """Write the telltale networks, also for a batch of cameras; returns the model folder."""
    telltale.export_telltale(folder)
    single = onnx.load(folder / "frame.onnx")
    save(several(single, cameras), folder / "batch_frame.onnx")
    text = re.sub(r"(float|int64)\[(4|8)\b", lambda m: f"{m[1]}[{int(m[2]) * cameras}", telltale.INSTANCE)
    instance = onnx.parser.parse_model(text)
    constants = {"rows": np.array([8 * cameras, 1, 1]), "half": np.array(0.5, np.float32)}
    instance.graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in constants.items())
    save(instance, folder / "batch_instance.onnx")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["cameras"] = cameras
    manifest["sha256"] = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.onnx")}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def several(single: onnx.ModelProto, cameras: int) -> onnx.ModelProto:
    """Return a frame network for several cameras: copies side by side, with the memory of each."""
    graph = single.graph
    parts = [compose.add_prefix(single, f"c{n}_").graph for n in range(cameras)]
    nodes = [node for n, part in enumerate(parts) for node in (*taken_apart(n), *part.node)]
    nodes += [put_together(name, cameras) for name in OUTPUTS["frame"] if name not in (*NEXT, "nms_ok")]
    nodes.append(helper.make_node("And", ["c0_nms_ok", f"c{cameras - 1}_nms_ok"], ["nms_ok"]))
    for old, new, rank in zip(MEMORY, NEXT, (5, 5, 2), strict=True):
        nodes += remembered(old, new, rank, cameras)
    inputs = [widened(value, cameras, axis=value.name in MEMORY) for value in graph.input]
    inputs.append(helper.make_tensor_value_info("remember", TensorProto.FLOAT, [cameras]))
    outputs = [
        value if value.name == "nms_ok" else widened(value, cameras, axis=value.name in NEXT)
        for value in graph.output
    ]
    constants = {f"n{n}": np.array(n) for n in range(cameras)}
    constants |= {"axis": np.array([0]), "none": np.array(0, np.float32)}
    constants |= {f"one{n}": np.array([n]) for n in range(cameras + 1)}
    constants |= {f"rank{rank}": np.array([cameras, *[1] * (rank - 1)]) for rank in (2, 5)}
    initializers = [t for part in parts for t in part.initializer]
    initializers += [numpy_helper.from_array(value, name) for name, value in constants.items()]
    made = helper.make_graph(nodes, "batch", inputs, outputs, initializers)
    return helper.make_model(made, opset_imports=single.opset_import, ir_version=single.ir_version)


def taken_apart(n: int) -> list[onnx.NodeProto]:
    """One camera's share of the inputs."""
    make = helper.make_node
    pixels = make("Slice", ["image", f"one{n}", f"one{n + 1}", "axis"], [f"c{n}_image"])
    return [
        pixels,
        *(make("Gather", [name, f"n{n}"], [f"c{n}_{name}"], axis=0) for name in MEMORY),
    ]


def put_together(name: str, cameras: int) -> onnx.NodeProto:
    return helper.make_node("Concat", [f"c{n}_{name}" for n in range(cameras)], [name], axis=0)


def remembered(old: str, new: str, rank: int, cameras: int) -> list[onnx.NodeProto]:
    """The next memory of the cameras that remember, the previous one of the others."""
    make = helper.make_node
    rows = [make("Unsqueeze", [f"c{n}_{new}", "axis"], [f"row{n}_{new}"]) for n in range(cameras)]
    stacked = make("Concat", [f"row{n}_{new}" for n in range(cameras)], [f"all_{new}"], axis=0)
    flags = make("Reshape", ["remember", f"rank{rank}"], [f"flag_{new}"])
    asked = make("Greater", [f"flag_{new}", "none"], [f"asked_{new}"])
    return [*rows, stacked, flags, asked, make("Where", [f"asked_{new}", f"all_{new}", old], [new])]


def widened(value: onnx.ValueInfoProto, cameras: int, *, axis: bool) -> onnx.ValueInfoProto:
    """Return an input or output with N times the rows, or with a leading camera dimension."""
    kind, (*sides,) = value.type.tensor_type, (d.dim_value for d in value.type.tensor_type.shape.dim)
    shape = [cameras, *sides] if axis else [cameras * sides[0], *sides[1:]]
    return helper.make_tensor_value_info(value.name, kind.elem_type, shape)


def save(model: onnx.ModelProto, path: Path) -> None:
    onnx.checker.check_model(model)
    onnx.save(model, path)
