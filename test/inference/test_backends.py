"""Which engine runs: as asked, or the best that works; OpenVINO beside ONNX Runtime."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.batched import export_batched
from support.moving import moving_blocks, track
from support.squares import export_squares, pixels

from pcan_model.core.engine import EngineFacts
from pcan_model.core.structures import Slots
from pcan_model.inference.backends import EngineOptions, open_engine, open_for_cameras
from pcan_model.inference.errors import ModelError
from pcan_model.inference.onnx_engine import OnnxEngine, choose_provider

if TYPE_CHECKING:
    from pcan_model.inference.openvino_engine import OpenVinoEngine

STREET = Path(__file__).parents[2] / "models" / "pcan_street"
CPU, CUDA, TENSORRT = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt"))


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


def openvino_engine(folder: Path) -> OpenVinoEngine:
    pytest.importorskip("openvino", reason="the optional OpenVINO is not installed: make env")
    from pcan_model.inference.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(folder, 1)


def test_auto_says_in_one_line_why_it_is_this_engine(squares: Path) -> None:
    opened = open_engine(squares, EngineOptions(threads=1))
    assert opened.engine.facts.backend == "onnxruntime"
    assert "onnxruntime" in opened.reason and "\n" not in opened.reason
    assert "as asked" in open_engine(squares, EngineOptions("onnxruntime", threads=1)).reason


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (EngineOptions("onnxruntime", threads=1), "which only TensorRT takes at once"),
        (EngineOptions(threads=1), "which only TensorRT takes at once"),
        (EngineOptions("onnxruntime", threads=1, batch_cameras=False), "as asked"),
    ],
)
def test_why_cameras_take_turns_is_said_too(tmp_path: Path, options: EngineOptions, why: str) -> None:
    opened = open_for_cameras(export_batched(tmp_path / "model", 2), options, 2)
    assert opened.reason.endswith(f"; 2 cameras in turn, {why}") and "\n" not in opened.reason


def test_openvino_refuses_the_yolox_detector_in_8_bits_which_it_computes_wrongly(tmp_path: Path) -> None:
    folder = shutil.copytree(STREET, tmp_path / "street")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"precision": "int8"}))
    with pytest.raises(ModelError, match=r"expected fp32 or fp16 for the yolox detector .* got int8"):
        openvino_engine(folder)


def test_the_engine_that_is_asked_for_is_taken_and_tells_its_facts(squares: Path) -> None:
    openvino_engine(squares)
    engine = open_engine(squares, EngineOptions("openvino", threads=1)).engine
    texts = engine.facts.texts()
    assert (texts["backend"], texts["precision"], texts["device memory"]) == ("openvino", "fp32", "host")
    assert "OpenVINO 20" in texts["engine"]


def test_device_memory_is_said_in_mebibytes() -> None:
    assert EngineFacts("tensorrt", "x", "fp16", 3 * 2**20).texts()["device memory"] == "3.0 MiB"


def test_without_openvino_one_line_says_how_to_install_it(
    squares: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ModelError, match="openvino is not installed: pip install openvino==") as raised:
        open_engine(squares, EngineOptions("openvino"))
    assert "\n" not in str(raised.value)


def test_the_installation_line_names_the_pinned_version() -> None:
    from pcan_model.inference.openvino_engine import INSTALL

    pins = (Path(__file__).parents[2] / "requirements" / "pins.txt").read_text().splitlines()
    assert INSTALL.split()[-1] in pins


@pytest.mark.parametrize(
    ("wanted", "available", "chosen"),
    [
        ("auto", [CPU], CPU),
        ("auto", [TENSORRT, CUDA, CPU], CUDA),
        ("cpu", [CUDA, CPU], CPU),
        ("tensorrt", [TENSORRT, CUDA, CPU], TENSORRT),
    ],
)
def test_the_provider_is_the_one_asked_for_or_cuda(wanted: str, available: list[str], chosen: str) -> None:
    assert choose_provider(wanted, available) == chosen


def test_a_provider_that_is_not_there_is_refused(squares: Path) -> None:
    with pytest.raises(ModelError, match=r"provider: cuda: this ONNX Runtime has only .*onnxruntime-gpu"):
        choose_provider("cuda", [CPU])
    with pytest.raises(ModelError, match="provider: tensorrt"):
        OnnxEngine(squares, 1, "tensorrt")


def test_a_precision_the_model_does_not_have_is_refused(squares: Path) -> None:
    with pytest.raises(ModelError, match=r"manifest\.json: precision: expected fp16 as asked, got fp32"):
        open_engine(squares, EngineOptions(precision="fp16"))
    with pytest.raises(ModelError, match="backend: expected one of auto"):
        EngineOptions("abacus")


def test_openvino_tracks_as_onnx_runtime_does(exported: Path) -> None:
    frames = moving_blocks(6)
    ours, theirs = track(openvino_engine(exported), frames), track(OnnxEngine(exported, 1), frames)
    assert sum(len(tracks.found()) for tracks in ours) > 10
    for a, b in zip(ours, theirs, strict=True):
        assert [(i.track_id, i.state) for i in a.instances] == [(i.track_id, i.state) for i in b.instances]
        for x, y in zip(a.instances, b.instances, strict=True):
            np.testing.assert_allclose(x.box, y.box, atol=0.05)
            different = x.mask.full(a.height, a.width) != y.mask.full(a.height, a.width)
            assert different.sum() <= max(2, 0.002 * x.mask.area)


def test_openvinos_memories_are_values_that_later_frames_leave_alone(squares: Path) -> None:
    engine = openvino_engine(squares)
    nothing = Slots(*(np.zeros(n, d) for n, d in ((4, "i8"), (4, "f4"), (8, "i8"), (8, "f4"))))
    memories = [engine.start()]
    for _ in range(4):
        _, features = engine.detect(pixels({2: (5, 10)}), memories[-1])
        memories.append(engine.segment(features, nothing, memories[-1], remember=True)[1])
    assert [float(memory.frames[0].data.max()) for memory in memories] == [0, 1, 2, 3, 4]
    assert engine.nms_ok


def test_openvino_refuses_a_broken_graph_in_one_line(squares: Path, tmp_path: Path) -> None:
    openvino_engine(squares)
    folder = export_squares(tmp_path / "broken")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"sha256": {}}))
    (folder / "frame.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"frame\.onnx: OpenVINO cannot load it") as raised:
        openvino_engine(folder)
    assert "\n" not in str(raised.value)
