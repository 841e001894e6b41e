"""16 bits where the time goes, 32 where they matter: which layers, and what it does to the tracks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference
from support.halves import halve
from support.moving import track
from support.small import small_net

from pcan_model.core.geometry import box_iou
from pcan_model.core.structures import Frame
from pcan_model.export import model_folder as room
from pcan_model.export.fp16 import HEAVY, LIGHT, layers, to_half
from pcan_model.export.options import ExportOptions
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.synthetic.drive import SyntheticDrive

SHIPPED = Path(__file__).parents[2] / "models" / "pcan_street_tiny"
GRAPHS = ("frame", "instance")


def typed(folder: Path, name: str) -> tuple[onnx.GraphProto, dict[str, int]]:
    """Return a graph and the type of each of its values."""
    model = onnx.load(folder / f"{name}.onnx", load_external_data=False)
    graph = shape_inference.infer_shapes(model).graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input, *graph.output)}
    return graph, types | {t.name: t.data_type for t in graph.initializer}


@pytest.mark.parametrize("name", GRAPHS)
def test_heavy_layers_are_in_16_bits_and_islands_are_not(halved: Path, name: str) -> None:
    graph, types = typed(halved, name)
    own = layers(graph)  # others are products of computed matrices, which stay in 32 bits
    heavy = [node for node in graph.node if node.output[0] in own]
    assert len(heavy) >= 4
    for node in heavy:
        assert {types[i] for i in node.input if i} == {TensorProto.FLOAT16}, node.name
    narrow = {n.op_type for n in graph.node if any(types.get(o) == TensorProto.FLOAT16 for o in n.output)}
    assert narrow <= {*HEAVY, *LIGHT, "Cast"}
    assert not {"MatMul", "GridSample", "TopK", "Softmax", "Exp"} & narrow


@pytest.mark.parametrize("name", GRAPHS)
def test_inputs_and_outputs_keep_their_types(exported: Path, halved: Path, name: str) -> None:
    before, after = (
        onnx.load(folder / f"{name}.onnx", load_external_data=False) for folder in (exported, halved)
    )
    assert list(before.graph.input) == list(after.graph.input)
    assert list(before.graph.output) == list(after.graph.output)
    onnx.checker.check_model(halved / f"{name}.onnx")


def test_no_cast_is_left_over(halved: Path) -> None:
    graph, _ = typed(halved, "frame")
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    assert [n.output[0] for n in graph.node if n.op_type == "Cast" and n.output[0] not in read] == []


def test_the_shipped_model_tracks_alike_in_16_bits(tmp_path: Path) -> None:
    drive = SyntheticDrive(100_001, length=5)
    frames = [Frame(drive.frame(i).image, i / 10) for i in range(len(drive))]
    engine = OnnxEngine(halve(SHIPPED, tmp_path / "half"), 1)
    assert engine.facts.precision == "fp16"
    ours, theirs = track(engine, frames), track(OnnxEngine(SHIPPED, 1), frames)
    overlaps, shifts, seen = [], [], 0
    names: dict[int, int] = {}  # ids of new objects go by falling score, which may round to another order
    for a, b in zip(ours, theirs, strict=True):
        found, reference = a.found(), b.found()
        seen += len(reference)
        boxes = [np.stack([i.box for i in tracks]).reshape(-1, 4) for tracks in (found, reference)]
        for mine, shares in zip(found, box_iou(*boxes), strict=True):
            other = reference[int(shares.argmax())]
            if shares.max() < 0.5 or other.label != mine.label or not other.mask.area:
                continue
            shifts.append(float(np.abs(mine.box - other.box).max()))
            assert shares.max() > 0.9  # of two proposals for one object rounding may choose the other
            assert names.setdefault(mine.track_id, other.track_id) == other.track_id
            one, two = (i.mask.full(a.height, a.width).astype(bool) for i in (mine, other))
            overlaps.append((one & two).sum() / (one | two).sum())
    assert len(set(names.values())) == len(names)
    assert np.median(shifts) < 1.0, shifts
    assert seen >= 5 and len(overlaps) >= 0.8 * seen
    assert np.mean(overlaps) > 0.97, overlaps


def test_an_export_in_16_bits_says_so(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(module: object, inputs: object, path: Path, *names: object, **options: object) -> None:
        shutil.copy(exported / path.name, path)  # exporting anew takes long

    monkeypatch.setattr(room, "write_pass", take)
    folder = room.export(small_net(), tmp_path / "model", ExportOptions(roi="gridsample", precision="fp16"))
    assert json.loads((folder / "manifest.json").read_text())["precision"] == "fp16"
    types = typed(folder, "instance")[1]
    assert TensorProto.FLOAT16 in {types.get(n.output[0]) for n in typed(folder, "instance")[0].node}


def test_a_silu_follows_its_convolution_and_a_score_stays_in_32_bits() -> None:
    names = ("x", "silu", "score")
    x, silu, score = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 2, 4, 4]) for n in names)
    weight = numpy_helper.from_array(np.ones((2, 2, 1, 1), np.float32), "weight")
    nodes = [
        helper.make_node("Conv", ["x", "weight"], ["a"]),
        helper.make_node("Sigmoid", ["a"], ["gate"]),
        helper.make_node("Mul", ["gate", "a"], ["b"]),
        helper.make_node("Conv", ["b", "weight"], ["silu"]),
        helper.make_node("Sigmoid", ["silu"], ["c"]),
        helper.make_node("Mul", ["c", "gate"], ["score"]),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [silu, score], [weight]))
    to_half(model)
    types = {
        v.name: v.type.tensor_type.elem_type for v in shape_inference.infer_shapes(model).graph.value_info
    }
    outputs = [node.output[0] for node in model.graph.node if node.op_type in ("Sigmoid", "Mul")]
    assert outputs == ["gate_half", "b_half", "c", "score"]
    assert types["gate_half"] == types["b_half"] == TensorProto.FLOAT16
    assert types["c"] == TensorProto.FLOAT
    onnx.checker.check_model(model)
