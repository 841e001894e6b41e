"""8 bits where the time goes and nowhere else; scales from real inputs; tracks that stay."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from support.moving import track
from support.rounded import BlockClip, round_all
from support.scripted_engine import ScriptedEngine, Thing, blank
from support.small import small_config, small_net

from pcan_model.cli import export as command
from pcan_model.core.config import ConfigError
from pcan_model.core.structures import Frame
from pcan_model.export import checkpoint_export
from pcan_model.export.calibration import STRETCH, Samples, calibration_clips, record, stretches
from pcan_model.export.fp16 import layers
from pcan_model.export.model_folder import export
from pcan_model.export.options import ExportOptions
from pcan_model.export.quantise import LAYERS, SMALLEST, raise_scales
from pcan_model.export.track_agreement import TrackAgreement, track_agreement
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.inference.torch_engine import TorchEngine
from pcan_model.model import checkpoint
from pcan_model.model.pass_signature import grid_sample
from pcan_model.model.pcan import PCAN
from pcan_model.synthetic.drive import SyntheticDrive

SHIPPED = Path(__file__).parents[2] / "models" / "pcan_street_tiny"
GRAPHS = ("frame", "instance")
EIGHT = {"int8": TensorProto.INT8, "fp8": TensorProto.FLOAT8E4M3FN}


@pytest.fixture(scope="module")
def rounded(
    sparse_net: PCAN, sparse_exported: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Return the folders with a small network in 8 bits, by precision."""
    pytest.importorskip("modelopt", reason="ModelOpt is not installed: make env")
    clips = [BlockClip(4, seed) for seed in (11, 12)]
    root = tmp_path_factory.mktemp("rounded")
    return round_all(sparse_net, sparse_exported, root, clips, ExportOptions(), frames=4)


def graph(folder: Path, name: str) -> onnx.GraphProto:
    return onnx.load(folder / f"{name}.onnx").graph


def producers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    return {output: node for node in graph.node for output in node.output}


def test_the_scale_of_an_input_that_was_always_zero_is_one_that_16_bits_hold() -> None:
    steps = [
        onnx.helper.make_node("QuantizeLinear", ["x", scale], [f"q{scale}"]) for scale in ("small", "usual")
    ]
    scales = [
        onnx.numpy_helper.from_array(np.float32(value), name)
        for name, value in (("small", 0.0), ("usual", 0.5), ("other", 0.0))
    ]
    model = onnx.helper.make_model(onnx.helper.make_graph(steps, "g", [], [], scales))
    raise_scales(model)
    kept = {each.name: float(onnx.numpy_helper.to_array(each)) for each in model.graph.initializer}
    assert kept == {"small": SMALLEST, "usual": 0.5, "other": 0.0} and np.float16(SMALLEST) == SMALLEST


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("precision", LAYERS)
def test_only_heavy_layers_read_what_was_rounded(rounded: dict[str, Path], precision: str, name: str) -> None:
    g = graph(rounded[precision], name)
    made, weights = producers(g), {t.name: t.data_type for t in g.initializer}
    readers = [(n, i) for n in g.node for i in n.input if i in made and made[i].op_type == "DequantizeLinear"]
    assert {n.op_type for n, _ in readers} <= set(LAYERS[precision])
    for node, value in readers:
        source = made[value].input[0]
        kind = weights[source] if source in weights else made[source].op_type
        assert kind in (EIGHT[precision], "QuantizeLinear"), node.name
    rounded_values = {n.output[0] for n in g.node if n.op_type == "QuantizeLinear"}
    after = {n.op_type for n in g.node if rounded_values & set(n.input)}
    assert after <= {"DequantizeLinear"}, "nothing but a heavy layer's input is rounded"
    assert after or (precision, name) == ("fp8", "instance"), "too narrow for FP8 in so small a network"


@pytest.mark.parametrize("name", GRAPHS)
def test_every_heavy_layer_is_in_8_bits(rounded: dict[str, Path], name: str) -> None:
    g = graph(rounded["int8"], name)
    made, own = producers(g), layers(g)  # others are products of computed matrices and the memory's fusion
    heavy = [n for n in g.node if n.output[0] in own]
    assert len(heavy) >= 4
    for node in heavy:
        assert [made[i].op_type for i in node.input[:2]] == ["DequantizeLinear"] * 2, node.name


def test_weights_have_a_scale_per_channel_and_zero_lies_at_zero(rounded: dict[str, Path]) -> None:
    g = graph(rounded["int8"], "frame")
    values = {t.name: onnx.numpy_helper.to_array(t) for t in g.initializer}
    made, own, seen = producers(g), layers(g), 0
    for node in (n for n in g.node if n.op_type == "Conv" and n.output[0] in own):
        weight, scale, zero = (values[i] for i in made[node.input[1]].input)
        assert weight.dtype == np.int8 and scale.shape == zero.shape == weight.shape[:1]
        assert not zero.any()  # TensorRT takes no other
        seen += 1
    assert seen > 50


def test_the_manifest_says_the_precision(rounded: dict[str, Path]) -> None:
    for precision, folder in rounded.items():
        assert json.loads((folder / "manifest.json").read_text())["precision"] == precision
        assert OnnxEngine(folder, 1).facts.precision == precision


@pytest.mark.parametrize(("name", "output"), [("frame", "scores"), ("instance", "refined")])
def test_fp8_computes_what_it_does_without_any_rewriting(
    rounded: dict[str, Path], name: str, output: str
) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    path = str(rounded["fp8"] / f"{name}.onnx")
    plain = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    engine = OnnxEngine(rounded["fp8"], 1)
    network = engine._frame if name == "frame" else engine._instance
    random = np.random.default_rng(0)
    kinds = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int64)": np.int64}
    scale = {"tensor(uint8)": 255, "tensor(float)": 1, "tensor(int64)": 0}
    inputs = {
        i.name: (random.random(i.shape) * scale[i.type]).astype(kinds[i.type]) for i in plain.get_inputs()
    }
    ours = network.read(network.run(*inputs.values())[output])
    (theirs,) = plain.run([output], inputs)
    assert np.linalg.norm(ours - theirs) < 0.1 * np.linalg.norm(theirs), (
        "beyond BASIC it would be 60 times it"
    )


@pytest.mark.slow
def test_the_shipped_model_tracks_alike_in_8_bits(tmp_path: Path) -> None:
    pytest.importorskip("modelopt", reason="ModelOpt is not installed: make env")
    config, _ = checkpoint.load_header(SHIPPED / "weights.safetensors")
    net = PCAN(config).eval()
    checkpoint.load_weights(SHIPPED / "weights.safetensors", net)
    drives = [SyntheticDrive(seed, 8) for seed in (1, 2)]  # of its training
    whole = export(net, tmp_path / "whole")  # the shipped graphs were exported by earlier code
    folders = round_all(net, whole, tmp_path, drives, ExportOptions())
    drive = SyntheticDrive(100_001, length=5)
    frames = [Frame(drive.frame(i).image, i / 10) for i in range(len(drive))]
    reference = track(OnnxEngine(SHIPPED, 1), frames)
    for folder, share in ((folders["int8"], 0.85), (folders["fp8"], 0.75)):
        alike = track_agreement(track(OnnxEngine(folder, 1), frames), reference)
        assert alike.objects >= 10 and len(alike.mask_ious) >= share * alike.objects, alike
        assert alike.extra <= 0.25 * alike.objects and np.mean(alike.mask_ious) > 0.88, alike


def test_samples_are_what_both_passes_get_with_memories_that_fill(random_net: PCAN, tmp_path: Path) -> None:
    samples = record(TorchEngine(random_net, grid_sample), [BlockClip(9, 5)], tmp_path, frames=8)
    assert isinstance(samples, Samples) and len(samples.frame) == len(samples.instance) == 8
    frames = [dict(np.load(path)) for path in samples.frame]
    filled = [int(sample["valid"].sum()) for sample in frames]
    assert filled == [0, 1, 2, 3] * 2
    assert [bool(sample["mem_k"].any()) for sample in frames] == [bool(n) for n in filled]
    instances = [dict(np.load(path)) for path in samples.instance]
    assert not instances[0]["bank"].any() and instances[3]["bank"].any(), "tracks are remembered"
    assert instances[0]["roi_features"].any()


def test_stretches_cover_every_clip_and_stay_inside() -> None:
    starts = list(stretches([100, 3, 8], 36))
    assert len(starts[0]) == 3 and starts[0][0] < 33 < starts[0][1] < 66 < starts[0][2] <= 100 - STRETCH
    assert starts[1] == (0,) and all(0 <= s <= 4 for s in starts[2])
    assert list(stretches([50] * 40, 48)) == [(23,)] * 40, "a clip more than there are stretches gets one too"


def test_calibration_takes_named_videos_only(tmp_path: Path) -> None:
    from pcan_model.synthetic.drive import write_drives

    write_drives(tmp_path, range(3), length=2, height=64, width=96)
    names = [clip.name for clip in calibration_clips([f"{tmp_path}#synthetic_000002,synthetic_000000"])]
    assert names == ["synthetic_000000", "synthetic_000002"]
    assert len(calibration_clips([str(tmp_path)])) == 3


def test_without_images_nothing_is_rounded(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--precision int8: expected --calibration PATH, images"):
        export(small_net(), tmp_path / "model", ExportOptions(precision="int8"))
    assert not list(tmp_path.iterdir())


def test_without_modelopt_one_line_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "modelopt"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "modelopt", None)
    with pytest.raises(
        ConfigError, match=r"need ModelOpt .*pip install --no-deps nvidia-modelopt=="
    ) as raised:
        export(small_net(), tmp_path / "model", ExportOptions(precision="fp8"), calibration=[BlockClip(2, 0)])
    assert "\n" not in str(raised.value)


def test_another_size_is_exported_and_a_bad_one_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    net = small_net()
    checkpoint.save(tmp_path / "w.safetensors", net, small_config(), {})
    sizes: list[tuple[int, int]] = []

    def keep(net: PCAN, folder: Path, *_: object, **__: object) -> Path:
        sizes.append((net.config.input.height, net.config.input.width))
        raise ConfigError("enough")

    monkeypatch.setattr(checkpoint_export, "export", keep)
    words = ["--weights", str(tmp_path / "w.safetensors"), "--out", str(tmp_path / "model"), "--size"]
    for size, message in (("96", "enough"), ("100", "--size: expected multiples of 32, got 100 160")):
        assert command.main([*words, size, "160"]) == 2
        assert message in capsys.readouterr().err
    assert sizes == [(96, 160)]


@pytest.mark.parametrize(("common", "refused"), [(4, True), (5, False)])
def test_a_graph_that_loses_most_objects_is_refused_and_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sparse_net: PCAN, common: int, refused: bool
) -> None:
    def write(net: PCAN, out: Path, options: ExportOptions, **_: object) -> Path:
        out.mkdir()
        return out

    ious = (1.0,) * common
    monkeypatch.setattr(checkpoint_export, "export", write)
    monkeypatch.setattr(checkpoint_export, "_network", lambda *_: (sparse_net, {}))
    monkeypatch.setattr(checkpoint_export, "clip_agreement", lambda *_: TrackAgreement(10, 0, ious, ious))
    out, options = tmp_path / "model", ExportOptions(precision="int8")
    lines = checkpoint_export.export_checkpoint(out, options, config="any")
    with pytest.raises(ConfigError, match=r"50% of the objects.* got 4 of 10") if refused else nullcontext():
        assert "5 of 10 objects" in next(lines)
    assert out.exists() != refused


def test_agreement_counts_matched_objects() -> None:
    car, walker = Thing(0, (10, 10, 30, 30)), Thing(1, (50, 10, 70, 30), label=0)
    reference = ScriptedEngine([[car, walker]] * 2)
    message = ScriptedEngine([[car.moved(4), Thing(1, walker.box, label=1)], [car, walker]])
    alike = track_agreement(*(track(engine, [blank(0), blank(0.1)]) for engine in (message, reference)))
    assert (alike.objects, alike.extra) == (4, 1), "a walker taken for a rider is not the same object"
    assert alike.box_ious == pytest.approx((16 / 24, 1, 1))
    assert alike.mask_ious == pytest.approx((16 / 24, 1, 1), abs=0.02)
    assert str(alike).startswith("3 of 4 objects, 1 others; mean IoU: boxes 0.889, masks 0.8")


def test_two_engines_without_objects_agree() -> None:
    nothing = track(ScriptedEngine([[]]), [blank(0)])
    assert str(track_agreement(nothing, nothing)) == "0 of 0 objects, 0 others; mean IoU: boxes -, masks -"


def test_nothing_of_a_calibration_is_left_behind(rounded: dict[str, Path]) -> None:
    names = {"frame.onnx", "instance.onnx", "weights.safetensors", "manifest.json"}
    for folder in rounded.values():
        assert {path.name for path in folder.iterdir()} == names
