"""The exported model: weights once, outside the graphs, and the same tracks as torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from support.small import blocks, small_config, small_net

from pcan_model.cli import export as command
from pcan_model.core.config import ConfigError
from pcan_model.core.structures import Frame, TrackState
from pcan_model.export import model_folder as room
from pcan_model.export.agreement import agreement
from pcan_model.export.model_folder import export
from pcan_model.export.weights import EXTERNAL_FROM, byte_ranges
from pcan_model.factory import load_engine
from pcan_model.inference.graphs import signature_of
from pcan_model.inference.manifest import WEIGHTS, ModelFiles
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.inference.torch_engine import TorchEngine
from pcan_model.model.checkpoint import load_header
from pcan_model.synthetic.drive import SyntheticDrive
from pcan_model.tracking.tracker import Tracker

if TYPE_CHECKING:
    from pcan_model.core.engine import Engine
    from pcan_model.core.structures import Tracks
    from pcan_model.model.pcan import PCAN

HEIGHT, WIDTH = 128, 192
GRAPHS = ("frame", "instance")


def graph(folder: Path, name: str) -> onnx.ModelProto:
    return onnx.load(folder / f"{name}.onnx", load_external_data=False)


def outside(tensor: TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


@pytest.mark.parametrize("name", GRAPHS)
def test_every_large_parameter_lies_in_the_weights_file_and_only_there(
    exported: Path, random_net: PCAN, name: str
) -> None:
    table = byte_ranges(exported / WEIGHTS)
    spots = {(place.offset, place.length): stored for stored, place in table.items()}
    external, inside = [], 0
    for tensor in graph(exported, name).graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL:
            inside += len(tensor.raw_data)
            continue
        where = outside(tensor)
        assert where["location"] == WEIGHTS and tensor.data_type == TensorProto.FLOAT16
        stored = spots[int(where["offset"]), int(where["length"])]
        assert list(tensor.dims) == list(random_net.state_dict()[stored].shape), stored
        external.append(stored)
    own = {n for n, place in table.items() if place.length >= EXTERNAL_FROM}
    own = {n for n in own if n.startswith("instance_attention.") == (name == "instance")}
    assert sorted(external) == sorted(own)
    assert inside < 250_000  # anchors, what is left of batch normalisation, small parameters


@pytest.mark.parametrize("name", GRAPHS)
def test_no_parameter_hides_in_a_graph_under_another_name(
    exported: Path, random_net: PCAN, name: str
) -> None:
    values = {
        t.numel(): n
        for n, t in random_net.state_dict().items()
        if t.numel() * 2 >= EXTERNAL_FROM and t.dim() > 1
    }
    weights = random_net.state_dict()
    for tensor in graph(exported, name).graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL or tensor.data_type != TensorProto.FLOAT:
            continue
        array = onnx.numpy_helper.to_array(tensor).ravel()
        twin = values.get(array.size)
        assert twin is None or not np.allclose(np.sort(array), np.sort(weights[twin].numpy().ravel()))


def test_the_graphs_are_small_beside_the_weights(exported: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in exported.iterdir()}
    assert set(sizes) == {"frame.onnx", "instance.onnx", WEIGHTS, "manifest.json"}
    assert sizes["frame.onnx"] < 1_500_000 and sizes["instance.onnx"] < 200_000
    assert sizes["frame.onnx"] + sizes["instance.onnx"] < sizes[WEIGHTS] / 2


def test_inputs_and_outputs_are_named_as_the_runtime_binds_them(exported: Path) -> None:
    for name in GRAPHS:
        proto, signature = graph(exported, name).graph, signature_of(ModelFiles(exported), name)
        assert [i.name for i in proto.input] == list(signature.inputs)
        assert [o.name for o in proto.output] == list(signature.outputs)
        for value in [*proto.input, *proto.output]:
            assert all(d.HasField("dim_value") for d in value.type.tensor_type.shape.dim), value.name


def test_the_manifest_says_what_the_model_is(exported: Path, random_net: PCAN) -> None:
    manifest = json.loads((exported / "manifest.json").read_text())
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((exported / name).read_bytes()).hexdigest() == digest
    assert (manifest["roi"], manifest["precision"]) == ("gridsample", "fp32")
    assert set(manifest["sha256"]) == {"frame.onnx", "instance.onnx", WEIGHTS}
    assert load_header(exported / WEIGHTS)[0] == random_net.config == OnnxEngine(exported, 1).config


def test_one_pass_is_torchs_pass(exported: Path, random_net: PCAN) -> None:
    worst = agreement(random_net, exported, frames=2)
    assert worst["labels"] == worst["nms_ok"] == worst["valid_next"] == 0
    assert worst["boxes"] < 0.02 and worst["scores"] < 1e-3 and worst["mask_logits"] < 0.01


def clip(frames: int) -> list[Frame]:
    """Return a scene that darkens and, half way, jumps aside, in a camera of its own size."""
    scene = blocks(240, 640, seed=5)[0].numpy()
    shift = [0 if i < frames // 2 else 6 for i in range(frames)]
    cut = [scene[:, x : x + 360] * (1 - 0.01 * i) for i, x in enumerate(shift)]
    return [Frame(np.ascontiguousarray(pixels, np.uint8), i / 10) for i, pixels in enumerate(cut)]


def track(engine: Engine, frames: list[Frame]) -> list[Tracks]:
    tracker, output = Tracker(engine), []
    state = tracker.start(UUID(int=1))
    for frame in frames:
        state, tracks = tracker.step(state, frame)
        output.append(tracks)
    return output


def test_a_whole_sequence_has_the_same_ids_and_masks(exported: Path, random_net: PCAN) -> None:
    frames = clip(7)
    ours = track(OnnxEngine(exported, 1), frames)
    theirs = track(TorchEngine(random_net), frames)
    kept, areas = 0, 0
    for a, b in zip(ours, theirs, strict=True):
        summaries = [[(i.track_id, i.uuid, i.state, i.label, i.age) for i in t.instances] for t in (a, b)]
        assert summaries[0] == summaries[1]
        kept += sum(i.state == TrackState.TRACKED for i in a.instances)
        for x, y in zip(a.instances, b.instances, strict=True):
            np.testing.assert_allclose(x.box, y.box, atol=0.05)
            different = x.mask.full(a.height, a.width) != y.mask.full(a.height, a.width)
            assert different.sum() <= max(3, 0.002 * x.mask.crop.size)  # pixels on the threshold
            areas += x.mask.area
    assert kept >= 20 and areas > 1000, "nothing was tracked: this would show nothing"


def test_the_shipped_model_tracks_alike_in_both() -> None:
    folder = Path(__file__).parents[2] / "models" / "pcan_street_tiny"
    drive = SyntheticDrive(100_001, length=5)
    frames = [Frame(drive.frame(i).image, i / 10) for i in range(len(drive))]
    engine = OnnxEngine(folder, 1)
    ours, theirs = track(engine, frames), track(load_engine(engine.config, folder / WEIGHTS), frames)
    found = [
        (x, y) for a, b in zip(ours, theirs, strict=True) for x, y in zip(a.found(), b.found(), strict=True)
    ]
    assert len(found) >= 5, "nothing was tracked: this would show nothing"
    for x, y in found:
        assert (x.track_id, x.state, x.label) == (y.track_id, y.state, y.label)
        one, other = x.mask.full(384, 640), y.mask.full(384, 640)
        assert (one != other).sum() <= max(2, 0.005 * y.mask.area)


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(ConfigError, match="expected a new folder or an exported model, got other files"):
        export(small_net(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_lies_beside_a_model_stays_when_it_is_exported_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def graph(module: object, inputs: object, path: Path, *names: object, **options: object) -> None:
        path.write_text("new graph")

    monkeypatch.setattr(room, "write_pass", graph)
    monkeypatch.setattr(
        room,
        "_write_manifest",
        lambda config, signature, folder, options, sizes: (folder / "manifest.json").write_text("new"),
    )
    for name in ("README.md", "manifest.json", "frame.onnx"):
        (tmp_path / "model").mkdir(exist_ok=True)
        (tmp_path / "model" / name).write_text("old")
    room.export(small_net(), tmp_path / "model")
    kept = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    assert (
        kept["README.md"] == b"old" and kept["manifest.json"] == b"new" and kept["frame.onnx"] == b"new graph"
    )
    assert (tmp_path / "model" / WEIGHTS).stat().st_mode & 0o777 == 0o644


def test_a_failed_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(*arguments: object, **options: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(room, "write_pass", break_off)
    with pytest.raises(OSError, match="disk full"):
        export(small_net(), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected a CONFIG or --weights, got neither"),
        (["--weights", "nowhere.safetensors"], "nowhere.safetensors: expected a safetensors checkpoint"),
        (["pcan_tiny"], "pcan_tiny: no such configuration"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([*arguments, "--out", str(tmp_path / "model")]) == 2
    output = capsys.readouterr().err
    assert message in output and output.count("\n") == 1 and not (tmp_path / "model").exists()


def test_a_baseline_attention_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    net = small_net(small_config(frame_attention={"kind": "non_local"}))
    with pytest.raises(ConfigError, match=r"frame_attention.kind: expected prototypical .*, got non_local"):
        export(net, tmp_path / "model")
    assert not list(tmp_path.iterdir())
