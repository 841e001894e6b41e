"""The folder of a model: its manifest there and back, and folders that want more than their own files."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper
from support.squares import export_squares

from pcan_model.core.config import Config, InputConfig, config_from_dict
from pcan_model.core.engine import CameraFormat
from pcan_model.inference.errors import ModelError
from pcan_model.inference.manifest import MANIFEST, ModelFiles, ModelManifest

SHIPPED = Path(__file__).parents[2] / "models" / "pcan_street_tiny"
NAMES = {"frame": ("image", "mem_k"), "instance": ("sheet", "slot")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return export_squares(tmp_path / "model")


def rewrite(folder: Path, **changes: Any) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    for name in ("frame.onnx", "instance.onnx", "weights.safetensors"):
        (tmp_path / name).write_bytes(name.encode())
    manifest = ModelManifest(
        config=Config(name="some", input=InputConfig(height=64, width=96)),
        inputs=NAMES,
        outputs=NAMES,
        precision="int8",
        rest="fp16",
        opset=19,
        roi="gridsample",
        cameras=3,
        camera_format=CameraFormat(150, 300, "bgr"),
        weights="weights.safetensors",
        sizes=("384x640", "736x1280"),
    )
    manifest.write(tmp_path)
    read = ModelManifest.read(tmp_path)
    assert replace(read, sha256={}) == manifest
    assert set(read.sha256) == {"frame.onnx", "instance.onnx", "weights.safetensors"}
    assert read.image_shape == (150, 300, 3) and read.grid_sample


def test_the_manifest_of_the_shipped_model_is_written_again_as_it_is(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "model"))
    before = json.loads((folder / MANIFEST).read_text())
    ModelManifest.read(folder).write(folder)
    after = json.loads((folder / MANIFEST).read_text())
    configs = [config_from_dict(values.pop("config")) for values in (before, after)]
    assert configs[0] == configs[1]
    assert {key: after[key] for key in before} == before, "models exported before are read as they were"
    assert after.keys() - before.keys() <= {"rest", "sizes"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": {"color": 3}}, "config: color: expected one of"),
        ({"precision": "fp64"}, "precision: expected one of fp32, fp16, int8, fp8, got 'fp64'"),
        ({"precision": ["fp32"]}, "precision: expected one of"),
        ({"roi": 3}, "roi: expected one of roialign, gridsample, got 3"),
        ({"rest": 1}, "rest: expected a text, got 1"),
        ({"weights": 1}, "weights: expected a text, got 1"),
        ({"cameras": True}, "cameras: expected a number from 1 up, got True"),
        ({"cameras": 2}, "missing batch_frame.onnx, batch_instance.onnx"),
        ({"opset": -1}, "opset: expected a number from 0 up, got -1"),
        ({"camera": [1, 2]}, "camera: expected height, width and order, got"),
        ({"inputs": {"frame": ["image"], "instance": [3]}}, "inputs: instance: expected a list of names"),
        ({"sha256": ["frame.onnx"]}, "sha256: expected file: digest"),
    ],
)
def test_every_key_is_checked(folder: Path, changes: dict[str, Any], message: str) -> None:
    rewrite(folder, **changes)
    with pytest.raises(ModelError) as raised:
        ModelFiles(folder)
    assert message in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "9" * 10_000, "[]", '{"config": 3}', '{"config": {}}', "\udcff"], ids=range(6)
)
def test_a_manifest_that_is_none_is_refused_in_one_line(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ModelError, match=r"manifest\.json: ") as raised:
        ModelFiles(folder)
    assert "\n" not in str(raised.value)


def test_a_manifest_without_bounds_is_not_read(folder: Path) -> None:
    with (folder / MANIFEST).open("r+b") as file:
        file.truncate(1 << 34)  # a hole: it takes no space
    with pytest.raises(ModelError, match=r"manifest\.json: expected at most \d+ bytes, got 17179869184"):
        ModelFiles(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "..", ".", "", "sub/file", "a\0b", "x" * 300])
@pytest.mark.parametrize("key", ["sha256", "weights", "external data"])
def test_a_name_that_leaves_the_folder_is_refused(folder: Path, key: str, name: str) -> None:
    (folder.parent / "secret").write_text("not of the model")
    if key == "external data":
        point_at(folder, name)
    elif key == "weights" and name:
        rewrite(folder, weights=name)
    else:
        rewrite(folder, sha256={name: "0" * 64})
    with pytest.raises(ModelError) as raised:
        ModelFiles(folder)
    assert "\n" not in str(raised.value) and "not of the model" not in str(raised.value)


def point_at(folder: Path, location: str) -> None:
    """Let the frame network read a tensor from another file."""
    model = onnx.load(folder / "frame.onnx")
    tensor = TensorProto(name="outside", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    model.graph.initializer.append(tensor)
    save(folder, model)


def save(folder: Path, model: onnx.ModelProto) -> None:
    (folder / "frame.onnx").write_bytes(model.SerializeToString())
    rewrite(folder, sha256={})


def in_a_branch(tensor: TensorProto) -> onnx.NodeProto:
    """Hide a tensor in a graph within a graph."""
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    node = helper.make_node("Constant", [], ["y"], value=tensor)
    inner = helper.make_graph([node], "inner", [], [value])
    outer = helper.make_graph([helper.make_node("If", ["c"], ["y"], then_branch=inner)], "o", [], [value])
    return helper.make_node("If", ["c"], ["z"], then_branch=outer)


def test_external_data_hidden_in_a_branch_is_found(folder: Path) -> None:
    tensor = TensorProto(name="outside", data_type=TensorProto.FLOAT, dims=[1])
    tensor.external_data.add(key="location", value="../secret")
    model = onnx.load(folder / "frame.onnx")
    model.graph.node.append(in_a_branch(tensor))
    save(folder, model)
    with pytest.raises(ModelError, match=r"frame\.onnx: external data: expected the name of a file .*secret"):
        ModelFiles(folder)


def huge_weights(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(TensorProto(name="huge", data_type=TensorProto.FLOAT, dims=[1 << 40, 9]))


def huge_memory(model: onnx.ModelProto) -> None:
    sides = model.graph.input[1].type.tensor_type.shape.dim
    sides[0].dim_value = sides[1].dim_value = 1 << 20


def huge_in_a_branch(model: onnx.ModelProto) -> None:
    tensor = TensorProto(name="huge", data_type=TensorProto.FLOAT, dims=[1 << 33])
    model.graph.node.append(in_a_branch(tensor))


@pytest.mark.parametrize("change", [huge_weights, huge_memory, huge_in_a_branch])
def test_a_tensor_beyond_all_bounds_is_refused_before_anything_is_allocated(
    folder: Path, change: Callable[[onnx.ModelProto], None]
) -> None:
    model = onnx.load(folder / "frame.onnx")
    change(model)
    save(folder, model)
    with pytest.raises(ModelError, match=r"frame\.onnx: \w+: expected at most 268435456 values, got \d{10}"):
        ModelFiles(folder)


def test_a_link_to_a_file_elsewhere_is_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("weights.safetensors", "frame.onnx"):
        other = tmp_path / f"elsewhere-{name}"
        other.write_bytes((folder / "frame.onnx").read_bytes())
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(other)
        rewrite(folder, sha256={}, weights="weights.safetensors")
        with pytest.raises(
            ModelError, match=r"expected a file in the model folder, got a link to .*elsewhere"
        ):
            ModelFiles(folder)


def test_a_circle_of_links_is_named(folder: Path) -> None:
    (folder / "weights.safetensors").symlink_to("weights.safetensors")
    rewrite(folder, sha256={"weights.safetensors": "0"})
    with pytest.raises(ModelError, match=r"weights\.safetensors") as raised:
        ModelFiles(folder)
    assert "\n" not in str(raised.value)


def test_a_folder_of_links_to_one_model_is_that_model(folder: Path, tmp_path: Path) -> None:
    linked = tmp_path / "install"  # as colcon build --symlink-install makes it
    linked.mkdir()
    for path in folder.iterdir():
        os.symlink(path, linked / path.name)
    assert ModelFiles(linked).digest("frame") == ModelFiles(folder).digest("frame")


def test_no_other_module_opens_the_manifest_by_its_name() -> None:
    root = Path(__file__).parents[2]
    sources = [p for package in ("pcan_model", "pcan_ros") for p in (root / package).rglob("*.py")]
    homes = {root / "pcan_model" / "inference" / part for part in ("manifest.py", "tensorrt/cache.py")}
    for path in set(sources) - homes:  # the cache of engines has manifests of its own
        text = path.read_text()
        assert '"manifest.json"' not in text and "'manifest.json'" not in text, path


def test_each_size_of_a_model_has_its_graphs_and_configuration(folder: Path) -> None:
    for name in ("frame", "instance"):
        shutil.copy(folder / f"{name}.onnx", folder / f"{name}_128x192.onnx")
    rewrite(folder, sizes=["128x192"])
    own, other = ModelFiles(folder), ModelFiles(folder, "128x192")
    assert own.graph("frame").name == "frame.onnx" and other.graph("frame").name == "frame_128x192.onnx"
    assert other.manifest.image_shape == (128, 192, 3) and own.manifest.image_shape != (128, 192, 3)
    assert ModelFiles(folder, own.manifest.size).config == own.config
    largest = max((own, other), key=lambda files: math.prod(files.manifest.image_shape))
    assert ModelFiles(folder, "largest").config == largest.config


def test_a_size_that_a_model_does_not_have_is_refused_with_those_it_has(folder: Path) -> None:
    own = ModelFiles(folder).manifest.size
    with pytest.raises(ModelError, match=rf"manifest\.json: size: expected one of {own}; got '384x640'"):
        ModelFiles(folder, "384x640")
    rewrite(folder, sizes=["384x640"])
    with pytest.raises(ModelError, match=r"missing frame_384x640\.onnx, instance_384x640\.onnx"):
        ModelFiles(folder, "384x640")


@pytest.mark.parametrize("sizes", ["384x640", ["../x"], ["384"], ["0x64"], ["100x64"], [3], ["64x64\n"]])
def test_malformed_sizes_are_refused(folder: Path, sizes: Any) -> None:
    rewrite(folder, sizes=sizes)
    with pytest.raises(ModelError, match="sizes: expected a list of sizes such as 384x640"):
        ModelFiles(folder)
