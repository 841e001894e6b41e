"""Predict the cost of a frame on GPUs: `python benchmarks/roofline.py MODEL` reads an exported model.

No GPU was at hand: every time here is a PREDICTION. For each layer of frame.onnx and instance.onnx it counts

  FLOPs  two for a multiplication with its addition, of convolutions and matrix products; one for each
         number that another operator puts out
  bytes  that a kernel reads and writes: its inputs, weights and outputs, each once

and takes the longer of FLOPs / peak and bytes / bandwidth, the roofline (Williams et al. 2009). Layers that
the precision concerns (Conv, ConvTranspose, Gemm) run on the tensor cores, everything else in float32.
Pointwise operators are taken as fused into what makes their input, views and constants as free. Behind
that, "with launches" adds LAUNCH seconds for every kernel that is left. Real kernels reach 30 to 70 % of a
roofline, and TensorRT fuses more than is assumed here: the prediction is of an order, no more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import onnx
from onnx import shape_inference

from pcan_model.inference.manifest import GRAPHS
from pcan_model.model.pass_names import DETECTIONS

HEAVY = ("Conv", "ConvTranspose", "Gemm")  # what --precision of pcan-export concerns
PRODUCTS = (*HEAVY, "MatMul")
POINTWISE = frozenset({
    "Add", "Sub", "Mul", "Div", "Relu", "Clip", "HardSwish", "Sigmoid", "Exp", "Log", "Sqrt", "Cast",
    "BatchNormalization", "Where", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal", "And", "Or",
    "Not", "Min", "Max", "Pow", "Neg", "Abs", "Reciprocal", "Tanh", "QuantizeLinear", "DequantizeLinear",
})  # fmt: skip
VIEWS = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"})
MOVES = frozenset({"Slice", "Gather", "GatherElements", "GatherND", "Split"})  # read no more than they write
WIDTHS = {"fp32": 4, "fp16": 2, "int8": 1, "fp8": 1}  # bytes of a number in a heavy layer
LAUNCH = 2e-6  # seconds between two kernels of a CUDA graph: a guess, of the order that is reported
UP = ("image", "slot", "fresh", "owner", "has")  # what crosses from the host each frame
DOWN = (*DETECTIONS, "nms_ok", "refined")  # and back


@dataclass(frozen=True, slots=True)
class Gpu:
    """Specification of a GPU: tensor core peaks without sparsity, and memory bandwidth."""

    name: str
    peaks: dict[str, float]  # FLOP/s by precision; fp32 of the ordinary cores
    bandwidth: float  # bytes/s


GPUS = (  # sources: docs/performance.md; the data sheets' larger figures are with sparsity, twice these
    Gpu("Jetson Orin Nano 8 GB", {"fp32": 1.28e12, "fp16": 10e12, "int8": 20e12}, 68e9),
    Gpu("Jetson Orin NX 16 GB", {"fp32": 1.88e12, "fp16": 15e12, "int8": 30e12}, 102.4e9),
    Gpu("Jetson AGX Orin 64 GB", {"fp32": 5.3e12, "fp16": 42.5e12, "int8": 85e12}, 204.8e9),
    Gpu("RTX 4090", {"fp32": 82.6e12, "fp16": 165.2e12, "int8": 660.6e12, "fp8": 330.3e12}, 1008e9),
    Gpu("H100 SXM", {"fp32": 66.9e12, "fp16": 989.4e12, "int8": 1978.9e12, "fp8": 1978.9e12}, 3350e9),
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One kernel."""

    name: str
    kind: str  # ONNX operator
    flops: int
    numbers: int  # read and written
    fused: bool = False  # into the kernel before it: no launch of its own

    @property
    def heavy(self) -> bool:
        """Return whether its time depends on the precision."""
        return self.kind in HEAVY


def layers(model: onnx.ModelProto) -> list[Layer]:
    """Count every operator of a graph of static shapes that depends on its inputs."""
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    sizes = _shapes(graph)
    constant = {tensor.name for tensor in graph.initializer}
    made: set[str] = set()
    found: list[Layer] = []
    for node in graph.node:
        inputs = [name for name in node.input if name]
        if node.op_type in ("Constant", "ConstantOfShape", "Shape") or set(inputs) <= constant:
            constant |= set(node.output)
            continue
        if node.op_type in VIEWS:
            made |= set(node.output) if made & set(inputs) else set()
            continue
        found.append(_layer(node, sizes, fused=node.op_type in POINTWISE and bool(made & set(inputs))))
        made |= set(node.output)
    return found


def _shapes(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all values with a static shape."""
    known = {v.name: v.type.tensor_type.shape.dim for v in (*graph.input, *graph.output, *graph.value_info)}
    fixed = {name: dims for name, dims in known.items() if all(d.HasField("dim_value") for d in dims)}
    sizes = {name: tuple(d.dim_value for d in dims) for name, dims in fixed.items()}
    return sizes | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}


def _layer(node: onnx.NodeProto, sizes: dict[str, tuple[int, ...]], *, fused: bool) -> Layer:
    missing = [name for name in (*node.input, *node.output) if name and name not in sizes]
    if missing:
        raise SystemExit(
            f"roofline: {node.name}: expected a fixed shape of {missing[0]}, got none; "
            "export the model with --roi gridsample"
        )
    read = [prod(sizes[name]) for name in node.input if name]
    written = sum(prod(sizes[name]) for name in node.output if name)
    if node.op_type in MOVES:
        read = [written]
    # The kernel before a fused one holds its largest input, and writes its output instead of its own.
    numbers = sum(read) - max(read) if fused else sum(read) + written
    return Layer(node.name, node.op_type, _flops(node, sizes, written), numbers, fused)


def _flops(node: onnx.NodeProto, sizes: dict[str, tuple[int, ...]], written: int) -> int:
    if node.op_type not in PRODUCTS:
        return written
    first, second = (sizes[name] for name in node.input[:2])
    if node.op_type == "Conv":  # weights (Cout, Cin / groups, kh, kw)
        return 2 * written * prod(second[1:])
    if node.op_type == "ConvTranspose":  # weights (Cin, Cout / groups, kh, kw)
        return 2 * prod(first) * prod(second[1:])
    transposed = any(a.name == "transA" and a.i for a in node.attribute)
    return 2 * written * first[0 if transposed else -1]


def seconds(layer: Layer, gpu: Gpu, precision: str) -> float:
    """Return the roofline time of a layer: the maximum of computation and memory time."""
    peak = gpu.peaks[precision if layer.heavy else "fp32"]
    width = WIDTHS[precision if layer.heavy else "fp32"]
    return max(layer.flops / peak, layer.numbers * width / gpu.bandwidth)


def crossing(graphs: Iterable[onnx.GraphProto]) -> dict[str, int]:
    """Return the bytes of every input and output of a frame."""
    ports = [value for graph in graphs for value in (*graph.input, *graph.output)]
    return {port.name: _bytes(port) for port in ports}


def _bytes(port: onnx.ValueInfoProto) -> int:
    kind = port.type.tensor_type
    width = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).itemsize
    return int(width * prod(d.dim_value for d in kind.shape.dim))


def report(folder: Path) -> str:
    """Return the tables of docs/performance.md for a model of static shapes."""
    models = {name: onnx.load(folder / f"{name}.onnx", load_external_data=False) for name in GRAPHS}
    counted = {name: layers(model) for name, model in models.items()}
    lines = ["| pass | GFLOPs | of them heavy | MB moved, fp32 | kernels |", "|---|---|---|---|---|"]
    for name, found in counted.items():
        heavy = sum(layer.flops for layer in found if layer.heavy)
        flops, moved = sum(x.flops for x in found), 4 * sum(x.numbers for x in found)
        kernels = sum(not layer.fused for layer in found)
        lines.append(f"| {name} | {flops / 1e9:.1f} | {heavy / flops:.0%} | {moved / 1e6:.0f} | {kernels} |")
    lines += ["", *_predictions(list(counted.values()))]
    sizes = crossing(model.graph for model in models.values())
    up, down = (sum(sizes[name] for name in names) for names in (UP, DOWN))
    stays = sum(size for name, size in sizes.items() if name not in (*UP, *DOWN))
    lines += ["", f"up {up:,} bytes, down {down:,} bytes, staying on the device {stays:,} bytes a frame"]
    return "\n".join(lines)


def _predictions(passes: list[list[Layer]]) -> Iterator[str]:
    """Yield the table of every GPU in every precision it has."""
    yield "| GPU | precision | frame ms | instance ms | of it memory | with launches ms | frames/s |"
    yield "|---" * 7 + "|"
    every = [layer for found in passes for layer in found]
    launches = LAUNCH * sum(not layer.fused for layer in every)
    for gpu in GPUS:
        for precision in gpu.peaks:
            times = [sum(seconds(x, gpu, precision) for x in found) for found in passes]
            waits = sum(t for x in every if (t := seconds(x, gpu, precision)) > _computing(x, gpu, precision))
            whole = sum(times) + launches
            cells = [f"{1e3 * t:.2f}" for t in times]
            cells += [f"{waits / sum(times):.0%}", f"{1e3 * whole:.2f}", f"{1 / whole:.0f}"]
            yield f"| {gpu.name} | {precision} | {' | '.join(cells)} |"


def _computing(layer: Layer, gpu: Gpu, precision: str) -> float:
    return layer.flops / gpu.peaks[precision if layer.heavy else "fp32"]


def table(folder: Path) -> str:
    """Return all kernels of a model, by descending time."""
    models = {name: onnx.load(folder / f"{name}.onnx", load_external_data=False) for name in GRAPHS}
    found = [(name, layer) for name, model in models.items() for layer in layers(model)]
    found.sort(key=lambda pair: -pair[1].flops)
    return "\n".join(
        f"{x.flops / 1e6:12.1f} MFLOPs {4 * x.numbers / 1e6:9.2f} MB  {name}: {x.name} ({x.kind})"
        for name, x in found
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="folder of pcan-export --roi gridsample, fp32")
    parser.add_argument("--layers", action="store_true", help="list every kernel instead")
    options = parser.parse_args()
    print(table(options.model) if options.layers else report(options.model))
    return 0


if __name__ == "__main__":
    sys.exit(main())
