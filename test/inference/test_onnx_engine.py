"""The ONNX Runtime engine on real exported graphs, beside torch; and what it says of broken ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
import pytest
from safetensors.numpy import save_file
from support.squares import export_squares, pixels

from pcan_model.core.structures import Frame, Slots, Tracks
from pcan_model.inference.errors import ModelError
from pcan_model.inference.manifest import ModelFiles
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.tracking.tracker import Tracker

if TYPE_CHECKING:
    from pcan_model.core.engine import Engine
    from pcan_model.model.pcan import PCAN


def clip(frames: int) -> list[Frame]:
    """Return a textured image that drifts."""
    noise = np.random.default_rng(0).integers(0, 255, (16, 32, 3), np.uint8)
    scene = noise.repeat(12, axis=0).repeat(12, axis=1)
    return [Frame(np.ascontiguousarray(scene[:128, 4 * i : 4 * i + 192]), i / 10) for i in range(frames)]


def run(engine: Engine, frames: list[Frame]) -> list[Tracks]:
    tracker = Tracker(engine)
    state, results = tracker.start(UUID(int=1)), []
    for frame in frames:
        state, tracks = tracker.step(state, frame)
        results.append(tracks)
    return results


def test_it_tracks_as_torch_does(exported: Path, random_net: PCAN) -> None:
    from pcan_model.inference.torch_engine import TorchEngine

    ours = run(OnnxEngine(exported, 1), clip(5))
    theirs = run(TorchEngine(random_net), clip(5))
    assert any(tracks.instances for tracks in ours)
    for a, b in zip(ours, theirs, strict=True):
        assert [i.track_id for i in a.instances] == [i.track_id for i in b.instances]
        for x, y in zip(a.instances, b.instances, strict=True):
            np.testing.assert_allclose(x.box, y.box, atol=0.05)
            different = x.mask.full(a.height, a.width) != y.mask.full(a.height, a.width)
            assert different.sum() <= max(2, 0.002 * x.mask.area)


def test_a_memory_is_a_value_that_later_frames_leave_alone(exported: Path) -> None:
    engine, frames = OnnxEngine(exported, 1), clip(3)
    tracker = Tracker(engine)
    state, _ = tracker.step(tracker.start(), frames[0])
    first = tracker.step(state, frames[1])[1]
    tracker.step(tracker.step(state, frames[1])[0], frames[2])
    again = tracker.step(state, frames[1])[1]
    assert [i.score for i in first.instances] == [i.score for i in again.instances]


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    return export_squares(tmp_path / "squares")


def nothing() -> Slots:
    return Slots(
        *(np.zeros(n, d) for n, d in ((4, np.int64), (4, np.float32), (8, np.int64), (8, np.float32)))
    )


def test_padding_is_no_detection(squares: Path) -> None:
    engine = OnnxEngine(squares, 1)
    found, _ = engine.detect(pixels({2: (5, 10), 7: (40, 30)}), engine.start())
    assert found.labels.tolist() == [2, 7]
    assert found.boxes.tolist() == [[5, 10, 21, 26], [40, 30, 56, 46]]
    assert found.rows.tolist() == [0, 1]


def test_the_frame_memory_advances_only_where_asked(squares: Path) -> None:
    engine = OnnxEngine(squares, 1)
    memory = engine.start()
    _, features = engine.detect(pixels({2: (5, 10)}), memory)
    _, kept = engine.segment(features, nothing(), memory, remember=False)
    _, advanced = engine.segment(features, nothing(), memory, remember=True)
    values = [m.frames[2].numpy().tolist() for m in (memory, kept, advanced)]
    assert values == [[0, 0], [0, 0], [1, 1]]


def test_without_a_detection_the_bank_is_left_alone(squares: Path) -> None:
    engine = OnnxEngine(squares, 1)
    memory = engine.start()
    found, features = engine.detect(pixels({}), memory)
    logits, following = engine.segment(features, nothing(), memory, remember=True)
    assert len(found) == 0 and logits.shape == (4, 28, 28)
    assert following.bank is memory.bank


def test_another_image_size_is_refused(squares: Path) -> None:
    engine = OnnxEngine(squares, 1)
    with pytest.raises(ValueError, match=r"image: expected \(64, 96, 3\) uint8, got \(64, 64, 3\)"):
        engine.detect(np.zeros((64, 64, 3), np.uint8), engine.start())


def test_a_missing_folder_or_file_is_named(squares: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere: no such folder"):
        OnnxEngine(tmp_path / "nowhere")
    (squares / "instance.onnx").unlink()
    with pytest.raises(ModelError, match=r"missing instance\.onnx"):
        OnnxEngine(squares)


def test_files_of_two_exports_are_told_apart(squares: Path) -> None:
    with (squares / "frame.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelError, match=r"frame.onnx: expected sha256 .* of manifest.json"):
        OnnxEngine(squares)


def test_a_manifest_that_does_not_fit_the_network_is_refused(squares: Path) -> None:
    path = squares / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["config"]["input"]["width"] = 128
    path.write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=r"image: expected \(1, 64, 128, 3\) .* got \(1, 64, 96, 3\)"):
        OnnxEngine(squares)
    path.write_text(json.dumps(manifest | {"sha256": {"frame.onnx": 3}}))
    with pytest.raises(ModelError, match=r"manifest\.json: sha256: expected file: digest, got \{"):
        OnnxEngine(squares)
    path.write_text("{")
    with pytest.raises(ModelError, match=r"manifest\.json: expected JSON"):
        OnnxEngine(squares)


@pytest.mark.parametrize(
    ("part", "key", "message"),
    [
        ("heads", "detections", r"scores: expected \(3,\) as in manifest.json: heads.detections, got \(4,\)"),
        ("tracker", "capacity", r"owner: expected \(9,\) as in manifest.json: tracker.capacity, got \(8,\)"),
    ],
)
def test_a_manifest_of_other_numbers_of_rows_is_refused(
    squares: Path, part: str, key: str, message: str
) -> None:
    manifest = json.loads((squares / "manifest.json").read_text())
    manifest["config"][part][key] += -1 if part == "heads" else 1
    (squares / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=message):
        OnnxEngine(squares)


def test_a_manifest_of_other_classes_than_the_weights_is_refused(squares: Path) -> None:
    path, weights = squares / "manifest.json", squares / "w.safetensors"
    manifest = json.loads(path.read_text()) | {"weights": weights.name}
    for names in (["car"], ["car"] * 9):
        manifest["config"]["classes"] = names
        path.write_text(json.dumps(manifest))
        save_file({"x": np.zeros(1)}, weights, {"config": json.dumps({"classes": ["car", "bus"]})})
        with pytest.raises(ModelError, match=rf"classes: expected 2 as in w.safetensors, got {len(names)}$"):
            OnnxEngine(squares)
    weights.write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"w\.safetensors: expected a checkpoint of pcan-train"):
        OnnxEngine(squares)


@pytest.mark.parametrize("cameras", ["three", 0, None])
def test_a_manifest_of_no_number_of_cameras_is_refused(squares: Path, cameras: object) -> None:
    path = squares / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"cameras": cameras}))
    with pytest.raises(ModelError, match=r"manifest\.json: cameras: expected a number from 1 up, got "):
        ModelFiles(squares)


def test_a_network_of_other_inputs_is_refused(squares: Path) -> None:
    shutil.copy(squares / "instance.onnx", squares / "frame.onnx")
    manifest = json.loads((squares / "manifest.json").read_text())
    del manifest["sha256"]
    (squares / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=r"frame.onnx: inputs: expected \['image'"):
        OnnxEngine(squares)


def test_a_manifest_without_names_is_told_apart(squares: Path) -> None:
    manifest = json.loads((squares / "manifest.json").read_text())
    (squares / "manifest.json").write_text(json.dumps(manifest | {"outputs": {"frame": 3}}))
    with pytest.raises(ModelError, match=r"outputs: frame: expected a list of names, got 3; export .* anew"):
        OnnxEngine(squares, 1)
