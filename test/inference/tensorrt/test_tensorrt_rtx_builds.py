"""TensorRT-RTX builds the other kinds of graphs too: for several cameras of one size, and of a ResNet."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.halves import halve
from support.rounded import BlockClip, round_all
from support.small import small_config, small_net

from pcan_model.export.model_folder import export
from pcan_model.export.options import ExportOptions
from pcan_model.inference.tensorrt.bindings import Bindings
from pcan_model.inference.tensorrt.build import BuildOptions, build_engine

trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: make env")
pytest.importorskip("modelopt", reason="ModelOpt is not installed: make env")
pytestmark = pytest.mark.slow
BINDINGS = Bindings("tensorrt_rtx", trt, None)
BUILDS = [("fp32", "8.9"), ("fp16", "8.6"), ("int8", "8.9"), ("fp8", "12.0")]  # more in test_tensorrt_rtx.py
Folders = dict[str, Path]  # of exported models, by precision


def size(folders: Folders, precision: str, capability: str, graph: str) -> int:
    """Build the engine of a graph for a generation of GPUs and return its size in bytes."""
    path = folders[precision] / f"{graph}.onnx"
    return len(build_engine(BINDINGS, path, BuildOptions(capability, level=0)).plan)


@pytest.fixture(scope="module")
def cameras(
    two_cameras: Path, two_cameras_rounded: Folders, tmp_path_factory: pytest.TempPathFactory
) -> Folders:
    """Return the folders with graphs for two cameras of one size."""
    half = halve(two_cameras, tmp_path_factory.mktemp("cameras") / "fp16")
    return {"fp32": two_cameras, "fp16": half, **two_cameras_rounded}


@pytest.mark.parametrize("graph", ["batch_frame", "batch_instance"])
@pytest.mark.parametrize(("precision", "capability"), BUILDS)
def test_graphs_for_cameras_build_in_every_precision_and_for_several_generations_of_gpus(
    cameras: Folders, precision: str, capability: str, graph: str
) -> None:
    assert size(cameras, precision, capability, graph) > 100_000


@pytest.mark.parametrize(("precision", "capability"), BUILDS)
def test_the_graph_of_a_single_camera_builds_with_its_letterbox(
    cameras: Folders, precision: str, capability: str
) -> None:
    assert size(cameras, precision, capability, "frame") > 100_000


@pytest.fixture(scope="module")
def r50(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Return the folders with a network on ResNet-50: as wide as BDD100K's, but of few regions and steps."""
    config = small_config(
        backbone={"kind": "resnet50", "channels": 256, "separable": False},
        frame_attention={"levels": (4, 5), "em_steps": 1},
        instance_attention={"layers": 4, "em_steps": 1},
        proposals={"nms_steps": 4},
    )
    root, net = tmp_path_factory.mktemp("r50"), small_net(config)
    whole = export(net, root / "fp32", ExportOptions(roi="gridsample"))
    rounded = round_all(net, whole, root, [BlockClip(2, 11)], frames=2)
    return {"fp32": whole, "fp16": halve(whole, root / "fp16"), **rounded}


@pytest.mark.parametrize(("graph", "half", "eighth"), [("frame", 0.6, 0.75), ("instance", 0.9, 1.0)])
def test_a_resnet_builds_in_every_precision_and_is_smaller_in_fewer_bits(
    r50: Folders, graph: str, half: float, eighth: float
) -> None:
    built = {precision: size(r50, precision, "8.9", graph) for precision in r50}
    assert built["fp16"] < half * built["fp32"], built
    assert max(built["int8"], built["fp8"]) < eighth * built["fp16"], built
