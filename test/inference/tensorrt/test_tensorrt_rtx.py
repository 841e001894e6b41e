"""TensorRT-RTX itself, which needs no GPU to build: it takes our graphs, whole and without a plugin."""

from __future__ import annotations

from collections import Counter
from math import prod
from pathlib import Path
from typing import Any

import onnx
import pytest

from pcan_model.export.model_folder import export
from pcan_model.export.options import ExportOptions
from pcan_model.inference.errors import ModelError
from pcan_model.inference.manifest import ModelFiles
from pcan_model.inference.tensorrt.bindings import Bindings
from pcan_model.inference.tensorrt.build import BuildOptions, build_engine, parse
from pcan_model.inference.tensorrt.cache import EngineCache
from pcan_model.inference.tensorrt.loaded_engine import EngineProvider
from pcan_model.inference.tensorrt.logger import make_logger
from pcan_model.model import checkpoint
from pcan_model.model.pcan import PCAN

trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: make env")
BINDINGS = Bindings("tensorrt_rtx", trt, None)
GRAPHS = ("frame", "instance")
EIGHT = ("int8", "fp8")
PRECISIONS = ("fp32", "fp16", *EIGHT)
BUILDS = [(p, c) for p in PRECISIONS for c in (("8.9", "12.0") if p == "fp8" else ("8.6", "8.9"))]
SHIPPED = Path(__file__).parents[3] / "models" / "pcan_street_tiny"
KINDS = {"FLOAT": 1, "UINT8": 2, "INT64": 7, "BOOL": 9, "HALF": 10}  # trt.DataType: onnx.TensorProto


def model(request: pytest.FixtureRequest, precision: str) -> Path:
    """Return the folder of the exported small network in a precision."""
    if precision in EIGHT:
        return request.getfixturevalue("rounded_static")[precision]
    return request.getfixturevalue({"fp32": "exported", "fp16": "halved"}[precision])


@pytest.fixture(scope="module", params=[(p, g) for p in PRECISIONS for g in GRAPHS], ids="-".join)
def network(request: pytest.FixtureRequest) -> Any:
    """Return the path of a graph, the network that TensorRT-RTX reads, and what must live as long."""
    precision, name = request.param
    logger, path = make_logger(trt), model(request, precision) / f"{name}.onnx"
    builder = trt.Builder(logger)
    network, parser = parse(BINDINGS, builder, path, logger)
    yield path, network
    del network, parser, builder


def test_inputs_and_outputs_are_those_of_the_graph(network: Any) -> None:
    path, parsed = network
    graph = onnx.load(path, load_external_data=False).graph
    sides = (
        (graph.input, [parsed.get_input(i) for i in range(parsed.num_inputs)]),
        (graph.output, [parsed.get_output(i) for i in range(parsed.num_outputs)]),
    )
    for values, tensors in sides:
        wanted = {
            v.name: (tuple(d.dim_value for d in v.type.tensor_type.shape.dim), v.type.tensor_type.elem_type)
            for v in values
        }
        assert {t.name: (tuple(t.shape), KINDS[t.dtype.name]) for t in tensors} == wanted


def test_no_layer_is_a_plugin_or_of_a_shape_that_depends_on_data(network: Any) -> None:
    _, parsed = network
    layers = [parsed.get_layer(i) for i in range(parsed.num_layers)]
    kinds = Counter(layer.type.name for layer in layers)
    forbidden = {"PLUGIN", "PLUGIN_V2", "PLUGIN_V3", "NMS", "NON_ZERO"}
    assert not forbidden & set(kinds), kinds
    shapes = [tuple(layer.get_output(0).shape) for layer in layers]
    assert not any(side < 0 for shape in shapes for side in shape)


def test_regions_are_sampled_linearly(network: Any) -> None:
    path, parsed = network
    layers = [parsed.get_layer(i) for i in range(parsed.num_layers)]
    samplers = [layer for layer in layers if layer.type == trt.LayerType.GRID_SAMPLE]
    for layer in samplers:
        layer.__class__ = trt.IGridSampleLayer
        assert layer.interpolation_mode == trt.InterpolationMode.LINEAR
        assert not layer.align_corners
    assert len(samplers) == (3 if path.name == "frame.onnx" else 0), "boxes, embeddings, masks"


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize(("precision", "capability"), BUILDS)
def test_engines_build_for_two_generations_of_gpus(
    request: pytest.FixtureRequest, graph: str, capability: str, precision: str
) -> None:
    folder = model(request, precision)
    phases: list[str] = []
    built = build_engine(
        BINDINGS,
        folder / f"{graph}.onnx",
        BuildOptions(capability, level=0),
        progress=lambda phase, done, steps: phases.append(f"{phase} {done / steps:.0%}"),
    )
    initializers = onnx.load(folder / f"{graph}.onnx", load_external_data=False).graph.initializer
    weights = sum(prod(t.dims) for t in initializers if len(t.dims) > 1)
    size = 1 if precision in EIGHT else 2  # bytes; fp32 and fp16 have theirs in another file
    assert len(built.plan) > weights * size
    assert phases and phases[-1].endswith("100%")


def test_what_is_rounded_in_the_graph_is_rounded_in_the_network(network: Any) -> None:
    path, parsed = network
    nodes = Counter(node.op_type for node in onnx.load(path, load_external_data=False).graph.node)
    kinds = Counter(parsed.get_layer(i).type.name for i in range(parsed.num_layers))
    for kind, op in (("QUANTIZE", "QuantizeLinear"), ("DEQUANTIZE", "DequantizeLinear")):
        assert kinds[kind] == nodes[op]


@pytest.mark.slow
def test_the_shipped_model_builds_at_its_full_size(tmp_path: Path) -> None:
    config, _ = checkpoint.load_header(SHIPPED / "weights.safetensors")
    net, built = PCAN(config).eval(), {}
    checkpoint.load_weights(SHIPPED / "weights.safetensors", net)
    folder = export(net, tmp_path / "model", ExportOptions(roi="gridsample"))
    for name in GRAPHS:
        built[name] = build_engine(BINDINGS, folder / f"{name}.onnx", BuildOptions("8.9", level=0)).plan
    weights = sum(p.numel() for p in net.parameters())
    assert sum(map(len, built.values())) > 2 * weights


def test_fp8_is_refused_for_gpus_before_ada(rounded_static: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match=r"cannot build it: .*HW-specific datatypes: fp8"):
        build_engine(BINDINGS, rounded_static["fp8"] / "frame.onnx", BuildOptions("8.6", level=0))


def test_a_gpu_that_rtx_does_not_know_is_named(exported: Path) -> None:
    with pytest.raises(ModelError, match=r"compute capability 8\.7: expected one of SM75, .*full TensorRT"):
        build_engine(BINDINGS, exported / "instance.onnx", BuildOptions("8.7"))


def test_without_a_gpu_a_built_engine_does_not_load_and_says_why(exported: Path, tmp_path: Path) -> None:
    cudart = pytest.importorskip("cuda.bindings.runtime", reason="cuda-python is not installed")
    if cudart.cudaGetDeviceCount()[1]:
        pytest.skip("there is a CUDA device")
    provider = EngineProvider(BINDINGS, EngineCache(tmp_path), BuildOptions("8.9", level=0), lambda _: None)
    with pytest.raises(ModelError, match=r"a fresh engine does not load: .*CUDA driver version"):
        provider.load(ModelFiles(exported), "instance", build=True)
