"""The released form on TensorRT: our code over its stand-in, and TensorRT-RTX itself as a builder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from support.bench import Bench
from support.halves import halve
from support.moving import moving_blocks, track
from support.rounded import BlockClip, round_all

from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.inference.tensorrt.bindings import Bindings
from pcan_model.inference.tensorrt.build import BuildOptions, build_engine, parse
from pcan_model.inference.tensorrt.logger import make_logger
from pcan_model.released.network import ReleasedPCAN

GRAPHS = ("frame", "instance")
PRECISIONS = ("fp32", "fp16", "int8", "fp8")
BUILDS = [("fp32", "8.6"), ("fp16", "8.9"), ("int8", "8.6"), ("fp8", "12.0")]  # more in test_tensorrt_rtx.py


def test_over_the_stand_in_it_tracks_as_with_onnx_runtime(released: Path, tmp_path: Path) -> None:
    frames, engine = moving_blocks(8, 114, 190), Bench(tmp_path).engine(released)
    ours, theirs = track(engine, frames), track(OnnxEngine(released, 1), frames)
    assert sum(len(tracks.found()) for tracks in ours) > 50
    assert "CUDA graphs" in engine.facts.engine
    for a, b in zip(ours, theirs, strict=True):
        assert [(i.track_id, i.state, i.score) for i in a.instances] == [
            (i.track_id, i.state, i.score) for i in b.instances
        ]
        for x, y in zip(a.instances, b.instances, strict=True):
            np.testing.assert_array_equal(x.mask.crop, y.mask.crop)


@pytest.fixture(scope="module")
def bindings() -> Bindings:
    trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: make env")
    return Bindings("tensorrt_rtx", trt, None)


@pytest.fixture(scope="module")
def folders(
    released: Path, released_net: ReleasedPCAN, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Return the exported small network by its precision."""
    pytest.importorskip("modelopt", reason="ModelOpt is not installed: make env")
    root = tmp_path_factory.mktemp("released")
    rounded = round_all(released_net, released, root, [BlockClip(4, 11, 114, 190)], frames=4)
    return {"fp32": released, "fp16": halve(released, root / "fp16"), **rounded}


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_tensorrt_reads_it_without_a_plugin_and_samples_linearly(
    bindings: Bindings, folders: dict[str, Path], precision: str, graph: str
) -> None:
    trt, path = bindings.trt, folders[precision] / f"{graph}.onnx"
    builder = trt.Builder(logger := make_logger(trt))
    network, parser = parse(bindings, builder, path, logger)
    layers: list[Any] = [network.get_layer(i) for i in range(network.num_layers)]
    kinds = Counter(layer.type.name for layer in layers)
    assert not {"PLUGIN", "PLUGIN_V2", "PLUGIN_V3", "NMS", "NON_ZERO"} & set(kinds)
    assert not any(side < 0 for layer in layers for side in tuple(layer.get_output(0).shape))
    samplers = [layer for layer in layers if layer.type == trt.LayerType.GRID_SAMPLE]
    for layer in samplers:
        layer.__class__ = trt.IGridSampleLayer
        assert layer.interpolation_mode == trt.InterpolationMode.LINEAR
    assert len(samplers) == (3 if graph == "frame" else 0), "boxes, embeddings, masks"
    given = onnx.load(path, load_external_data=False).graph
    assert [network.get_input(i).name for i in range(network.num_inputs)] == [i.name for i in given.input]
    assert [network.get_output(i).name for i in range(network.num_outputs)] == [o.name for o in given.output]
    del parser


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize(("precision", "capability"), BUILDS)
def test_engines_build_in_every_precision_and_for_several_generations_of_gpus(
    bindings: Bindings, folders: dict[str, Path], precision: str, capability: str, graph: str
) -> None:
    path = folders[precision] / f"{graph}.onnx"
    assert len(build_engine(bindings, path, BuildOptions(capability, level=0)).plan) > 10_000
