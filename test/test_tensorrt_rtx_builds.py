"""TensorRT-RTX builds the other kinds of graphs too: for several cameras of one size, and of a ResNet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.halves import halve

from pcan_model.config import load_config
from pcan_model.export.model import export
from pcan_model.network import PCAN
from pcan_ros.tensorrt.bindings import Bindings
from pcan_ros.tensorrt.build import BuildOptions, build_engine

trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: make env")
BINDINGS = Bindings("tensorrt_rtx", trt, None)
GENERATIONS = ("8.6", "8.9")
Folders = dict[str, Path]  # of exported models, by precision


def size(path: Path, capability: str) -> int:
    """Build an engine and return its size in bytes."""
    return len(build_engine(BINDINGS, path, BuildOptions(capability, level=0)).plan)


@pytest.fixture(scope="module")
def cameras(two_cameras: Path, two_cameras_int8: Path, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Return the folders with graphs for two cameras of one size."""
    return {"fp16": halve(two_cameras, tmp_path_factory.mktemp("cameras") / "fp16"), "int8": two_cameras_int8}


@pytest.mark.parametrize("graph", ["frame", "batch_frame", "batch_instance"])
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_graphs_for_cameras_build_for_two_generations_of_gpus(
    cameras: Folders, precision: str, graph: str
) -> None:
    for capability in GENERATIONS:
        assert size(cameras[precision] / f"{graph}.onnx", capability) > 100_000


@pytest.fixture(scope="module")
def r50(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Return the folders with the network of BDD100K: random weights, small pictures, few steps."""
    config = load_config("pcan_r50_bdd100k")
    config = replace(
        config,
        input=replace(config.input, height=128, width=224),
        frame_attention=replace(config.frame_attention, em_steps=1),
        instance_attention=replace(config.instance_attention, em_steps=1),
        proposals=replace(config.proposals, nms_steps=4),
    )
    root = tmp_path_factory.mktemp("r50")
    whole = export(PCAN(config).eval(), root / "fp32", roi="gridsample")
    return {"fp32": whole, "fp16": halve(whole, root / "fp16")}


@pytest.mark.parametrize(("graph", "share"), [("frame", 0.6), ("instance", 0.9)])
def test_a_resnet_builds_for_two_generations_and_is_smaller_in_16_bits(
    r50: Folders, graph: str, share: float
) -> None:
    for capability in GENERATIONS:
        sizes = {precision: size(folder / f"{graph}.onnx", capability) for precision, folder in r50.items()}
        assert sizes["fp16"] < share * sizes["fp32"], sizes
