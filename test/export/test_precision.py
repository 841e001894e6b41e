"""8 bits with the rest in 16, for TensorRT; and every graph of a folder in the precision that it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper, shape_inference
from support.moving import moving_blocks
from support.rounded import BlockClip
from support.small import small_config, small_net

from pcan_model.core.config import ConfigError
from pcan_model.core.engine import CameraFormat
from pcan_model.export import model_folder as room
from pcan_model.export import precision as rounding
from pcan_model.export.fp16 import layers
from pcan_model.export.options import ExportOptions
from pcan_model.export.quantise import LAYERS
from pcan_model.inference.manifest import ModelFiles
from pcan_model.model.pass_signature import grid_sample

GRAPHS = ("frame", "instance")


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("precision", LAYERS)
def test_for_tensorrt_heavy_layers_compute_in_16_bits_what_8_leave(
    rounded_static: dict[str, Path], precision: str, name: str
) -> None:
    folder = rounded_static[precision]
    assert json.loads((folder / "manifest.json").read_text())["rest"] == "fp16"
    graph = shape_inference.infer_shapes(onnx.load(folder / f"{name}.onnx")).graph
    types = {v.name: v.type.tensor_type.elem_type for v in graph.value_info}
    types |= {t.name: t.data_type for t in graph.initializer}
    own = layers(graph)
    heavy = [node for node in graph.node if node.output[0] in own]
    assert len(heavy) >= 4
    for node in heavy:
        assert {types[i] for i in node.input if i} == {TensorProto.FLOAT16}, node.name


def test_the_rest_is_asked_for_beside_8_bits_only(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--rest fp16: expected --precision int8 or fp8, got fp32"):
        room.export(small_net(), tmp_path / "model", ExportOptions(rest="fp16"))
    assert not list(tmp_path.iterdir())


def test_images_without_objects_are_no_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = small_net(small_config(heads={"score_threshold": 1.0}))
    signatures = {"": grid_sample(net)}
    monkeypatch.setattr(rounding, "CALIBRATION_FRAMES", 1)
    with pytest.raises(ConfigError, match="expected images with objects, but the network tracks none"):
        rounding.round_to_8_bits(net, tmp_path, signatures, precision="int8", calibration=[BlockClip(1, 0)])


@pytest.mark.parametrize("name", ["frame", "instance", "batch_frame", "batch_instance"])
def test_every_graph_for_cameras_is_in_8_bits(two_cameras_int8: Path, name: str) -> None:
    graph = onnx.load(two_cameras_int8 / f"{name}.onnx").graph
    made = {output: node for node in graph.node for output in node.output}
    own = layers(graph)
    heavy = [node for node in graph.node if node.output[0] in own]
    assert len(heavy) >= 4
    for node in heavy:
        assert [made[i].op_type for i in node.input[:2]] == ["DequantizeLinear"] * 2, node.name
    files = ModelFiles(two_cameras_int8)
    assert (files.manifest.precision, files.manifest.cameras) == ("int8", 2)
    assert files.manifest.camera_format == CameraFormat(150, 300, "bgr")


def test_all_cameras_have_the_scales_of_a_single_one(two_cameras_int8: Path) -> None:
    single, several = (scales(onnx.load(two_cameras_int8 / f"{n}frame.onnx").graph) for n in ("", "batch_"))
    assert len(single) > 40 and single.keys() == several.keys()
    for parameter, found in several.items():
        np.testing.assert_allclose(sorted(found), sorted(single[parameter]), rtol=0.02, err_msg=parameter)


def scales(graph: onnx.GraphProto) -> dict[str, set[float]]:
    """Return the scales of what convolutions read, by the name of the parameter."""
    made = {output: node for node in graph.node for output in node.output}
    values = {t.name: t for t in graph.initializer}
    found: dict[str, set[float]] = {}
    own = layers(graph)
    for node in (node for node in graph.node if node.op_type == "Conv" and node.output[0] in own):
        name = made[node.input[1]].input[0]
        parameter = name.partition(".weight")[0] if ".weight" in name else "rearranged"  # of the mask head
        scale = numpy_helper.to_array(values[made[node.input[0]].input[1]])
        found.setdefault(parameter, set()).add(float(scale))
    return found


def test_in_8_bits_a_camera_among_several_gets_what_it_gets_alone(two_cameras_int8: Path) -> None:
    images = [moving_blocks(1, 150, 300, seed)[0].image for seed in range(2)]
    together = run(two_cameras_int8 / "batch_frame.onnx", np.stack(images))
    for camera, pixels in enumerate(images):
        alone = run(two_cameras_int8 / "frame.onnx", pixels[None])
        for name in ("mem_k_next", "mem_v_next", "scores"):
            rows = len(alone["scores"])
            whole = together[name]
            ours = whole[camera * rows : (camera + 1) * rows] if name == "scores" else whole[camera]
            off = np.linalg.norm(ours - alone[name]) / np.linalg.norm(alone[name])
            assert off < 0.05, name


def run(path: Path, image: NDArray[np.uint8]) -> dict[str, Any]:
    """Return what a frame graph says of images of cameras that have seen nothing before."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs()}
    inputs |= {"image": image} | ({"remember": np.ones(2, np.float32)} if len(image) > 1 else {})
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs), strict=True))
