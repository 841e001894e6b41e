"""The letterbox inside the graph: the host's to a grey level, the same tracks, no other size of image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
from support.moving import moving_blocks, track
from support.small import few_steps, small_config, small_net
from torch import nn

from pcan_model.core.config import ConfigError, InputConfig
from pcan_model.core.engine import CameraFormat, Engine
from pcan_model.core.geometry import fit_image
from pcan_model.core.structures import Frame, Slots, Tracks
from pcan_model.export.camera_pass import CameraPass
from pcan_model.export.model_folder import export
from pcan_model.export.options import ExportOptions
from pcan_model.inference.errors import ModelError, WrongCamera
from pcan_model.inference.manifest import ModelFiles
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.inference.torch_engine import TorchEngine
from pcan_model.model.checkpoint import load_weights
from pcan_model.synthetic.drive import SyntheticDrive

INPUT = InputConfig(height=96, width=160)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize(
    "size", [(96, 160), (192, 320), (180, 320), (203, 311), (300, 200), (48, 80), (50, 160), (1, 1)]
)
def test_it_is_the_hosts_letterbox_to_one_grey_level(size: tuple[int, int], order: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    host = fit_image(size, INPUT).apply(pixels).astype(np.float32)
    sent = pixels if order == "rgb" else pixels[..., ::-1].copy()
    room = CameraPass(nn.Identity(), CameraFormat(*size, order), INPUT)
    graph = room.fit(torch.from_numpy(sent)[None])[0].numpy()
    assert graph.shape == host.shape and graph.dtype == np.float32
    difference = np.abs(graph - host)
    assert difference.max() <= 1 and difference.mean() < 0.15, "of noise; OpenCV rounds its weights"
    assert size not in ((96, 160), (192, 320)) or not difference.any(), "as large, or shrunk to a half"
    np.testing.assert_array_equal(graph, graph.round())


class Behind(Engine):
    """An engine behind the graph's letterbox, run by torch."""

    def __init__(self, engine: Engine, camera: CameraFormat) -> None:
        self.config, self.camera_format, self._engine = engine.config, camera, engine
        self._room = CameraPass(nn.Identity(), camera, engine.config.input)

    def start(self, camera: int = 0) -> Any:
        return self._engine.start()

    def segment(self, features: Any, slots: Slots, memory: Any, *, remember: bool) -> Any:
        return self._engine.segment(features, slots, memory, remember=remember)

    def detect(self, image: np.ndarray, memory: Any) -> Any:
        fitted = self._room.fit(torch.from_numpy(image.copy())[None])[0]
        return self._engine.detect(fitted.byte().numpy(), memory)


def differences(ours: list[Tracks], theirs: list[Tracks], *, box: float, share: float) -> int:
    """Fail unless tracks are the same to `box` pixels and a `share` of each mask; return their number."""
    kept = 0
    for a, b in zip(ours, theirs, strict=True):
        summaries = [[(i.track_id, i.state, i.label) for i in t.instances] for t in (a, b)]
        assert summaries[0] == summaries[1]
        for x, y in zip(a.found(), b.found(), strict=True):
            np.testing.assert_allclose(x.box, y.box, atol=box)
            one, two = (i.mask.full(a.height, a.width).astype(bool) for i in (x, y))
            assert (one ^ two).sum() <= max(4, share * (one | two).sum())
            kept += 1
    return kept


def test_the_exported_graph_tracks_as_torch_behind_the_same_letterbox(two_cameras: Path) -> None:
    net, frames = few_steps(), moving_blocks(8, 150, 300)
    load_weights(two_cameras / "weights.safetensors", net)
    torch_engine = Behind(TorchEngine(net), CameraFormat(150, 300, "bgr"))
    ours, theirs = track(OnnxEngine(two_cameras, 1), frames), track(torch_engine, frames)
    assert differences(ours, theirs, box=0.05, share=0.002) > 16, "nothing was tracked"


@pytest.mark.parametrize(("size", "wanted"), [((768, 1280), 1.0), ((700, 1100), 0.9)])
def test_the_shipped_model_tracks_as_behind_the_hosts_letterbox(size: tuple[int, int], wanted: float) -> None:
    drive = SyntheticDrive(100_001, length=8)
    enlarged = [cv2.resize(drive.frame(i).image, size[::-1]) for i in range(len(drive))]
    frames = [Frame(pixels, i / 10) for i, pixels in enumerate(enlarged)]
    engine = OnnxEngine(Path(__file__).parents[2] / "models" / "pcan_street_tiny", 1)
    ours, theirs = track(Behind(engine, CameraFormat(*size)), frames), track(engine, frames)
    found = alike = 0
    for a, b in zip(ours, theirs, strict=True):
        mine = [(i.track_id, i.label, i.mask.full(*size).astype(bool)) for i in a.found()]
        for other in b.found():
            mask = other.mask.full(*size).astype(bool)
            alike += any(
                label == other.label
                and (number == other.track_id or wanted < 1)  # a new object more moves all later ids
                and (here & mask).sum() >= 0.9 * (here | mask).sum()
                for number, label, here in mine
            )
            found += 1
    assert found > 40 and alike >= wanted * found, f"{alike} of {found} objects alike"


def test_the_manifest_and_the_graph_say_what_goes_in(two_cameras: Path) -> None:
    manifest = json.loads((two_cameras / "manifest.json").read_text())
    assert manifest["camera"] == {"height": 150, "width": 300, "order": "bgr"} and manifest["cameras"] == 2
    assert set(manifest["sha256"]) == {path.name for path in two_cameras.iterdir()} - {"manifest.json"}
    assert OnnxEngine(two_cameras, 1).camera_format == CameraFormat(150, 300, "bgr")
    for name, cameras in (("frame", 1), ("batch_frame", 2)):
        graph = onnx.load(two_cameras / f"{name}.onnx", load_external_data=False).graph
        image = graph.input[0].type.tensor_type
        assert [d.dim_value for d in image.shape.dim] == [cameras, 150, 300, 3]
        assert image.elem_type == onnx.TensorProto.UINT8
        readers = {node.op_type for node in graph.node if "image" in node.input}
        assert readers == {"Cast"}, "TensorRT takes uint8 into nothing else"


def test_an_image_of_another_size_is_refused_with_both_sizes(two_cameras: Path) -> None:
    engine = OnnxEngine(two_cameras, 1)
    with pytest.raises(
        WrongCamera, match=r"image: expected 150 x 300 as the model .*, got 64 x 96: pcan-export"
    ):
        engine.detect(np.zeros((64, 96, 3), np.uint8), engine.start())
    with pytest.raises(ValueError, match="uint8, got"):
        engine.detect(np.zeros((150, 300, 3), np.float32), engine.start())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ExportOptions(camera=(0, 5)), "--camera: expected HEIGHT and WIDTH > 0, got 0 5"),
        (ExportOptions(cameras=3), "--cameras 3: expected --roi gridsample, for TensorRT, got roialign"),
    ],
)
def test_what_cannot_be_exported_is_refused_first(
    tmp_path: Path, options: ExportOptions, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        export(small_net(), tmp_path / "model", options)
    with pytest.raises(ConfigError, match=r"--camera: input.fit: expected letterbox, got resize"):
        resized = small_net(small_config(input={"fit": "resize"}))
        export(resized, tmp_path / "model", ExportOptions(camera=(9, 9)))
    assert not list(tmp_path.iterdir())


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    for name in ("frame.onnx", "instance.onnx"):
        (tmp_path / name).touch()
    (tmp_path / "manifest.json").write_text('{"config": {}, "camera": {"height": 3}}')
    with pytest.raises(ModelError, match=r"manifest\.json: camera: expected height, width and order, got"):
        ModelFiles(tmp_path)
