"""`pcan-export`: a trained network as two ONNX graphs of static shape, checked against torch.

The graphs do not hold the weights. Every parameter is an ONNX tensor of external data that points
into the checkpoint's own safetensors file, which stores each tensor as plain bytes; so the shipped
model has its weights once, in 16 bits, and a Cast in the graph widens them when it is loaded.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
import torch
from onnx import TensorProto, helper
from onnxscript import optimizer
from torch import Tensor, nn

from pcan_model import checkpoint
from pcan_model.config import Config, ConfigError, config_to_dict, load_config
from pcan_model.half import to_half
from pcan_model.network import PCAN, FramePass, InstancePass
from pcan_model.torch_engine import empty_memory

OPSET = 18
WEIGHTS = "weights.safetensors"
FRAME_INPUTS = ("image", "mem_k", "mem_v", "valid")
FRAME_OUTPUTS = (
    "boxes", "scores", "labels", "embeds", "roi_features", "mask_logits", "nms_ok",
    "mem_k_next", "mem_v_next", "valid_next",
)  # fmt: skip
INSTANCE_INPUTS = ("roi_features", "mask_logits", "bank", "slot", "fresh", "owner", "has")
INSTANCE_OUTPUTS = ("refined", "bank_next")
ROI = ("roialign", "gridsample")  # the operator; sampling, which TensorRT-RTX can build anywhere
PRECISIONS = ("fp32", "fp16")
EXTERNAL_FROM = 256  # bytes: smaller tensors stay in the graph
EXPLANATION = """\
Turn a checkpoint into the model that the node runs: frame.onnx, instance.onnx, weights.safetensors
(16 bits, the graphs point into it) and manifest.json; then compare it with torch.

  pcan-export --weights runs/street/weights.safetensors --out models/pcan_street_tiny
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor lies in a safetensors file."""

    dtype: str  # "F16" | "F32"
    offset: int  # bytes from the beginning of the file
    length: int  # bytes


def export(
    net: PCAN,
    folder: Path,
    metrics: dict[str, Any] | None = None,
    *,
    roi: str = ROI[0],
    precision: str = PRECISIONS[0],
) -> Path:
    """Write frame.onnx, instance.onnx, the weights and manifest.json; a folder whole or not at all.

    roi        how regions are read, one of ROI
    precision  of the heavy layers, one of PRECISIONS
    The network's own weights are rounded to what was written. Raises ConfigError rather than
    replace a folder that holds something else than an exported model.
    """
    if (kind := net.config.frame_attention.kind) != "prototypical":
        raise ConfigError(
            f"frame_attention.kind: expected prototypical (a baseline runs in torch), got {kind}"
        )
    if folder.exists() and not (folder / "manifest.json").is_file() and list(folder.glob("*")):
        raise ConfigError(f"{folder}: expected a new folder or an exported model, got other files")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        partial = Path(name) / "model"
        partial.mkdir()
        checkpoint.save(partial / WEIGHTS, net, net.config, metrics or {}, half=True)
        checkpoint.load_weights(partial / WEIGHTS, net)  # torch and ONNX then round alike
        frame, instance = example_inputs(net.config)
        _write(
            FramePass(net, sampled=roi == "gridsample").eval(),
            frame,
            partial / "frame.onnx",
            FRAME_INPUTS,
            FRAME_OUTPUTS,
        )
        refine = InstancePass(net).eval()
        _write(refine, instance, partial / "instance.onnx", INSTANCE_INPUTS, INSTANCE_OUTPUTS)
        if precision == "fp16":
            narrow(partial)
        _manifest(net.config, partial, roi, precision)
        if folder.exists():
            _keep_others(folder, partial)
            shutil.rmtree(folder)
        os.replace(partial, folder)
    return folder


def _keep_others(folder: Path, partial: Path) -> None:
    """Take along what else lies beside a model, such as its card."""
    for path in folder.iterdir():
        if path.is_file() and not (partial / path.name).exists():
            shutil.copy2(path, partial)


def narrow(folder: Path) -> None:
    """Let the heavy layers of both graphs in a folder compute in 16 bits; their weights are stored so."""
    for name in ("frame", "instance"):
        path = folder / f"{name}.onnx"
        model = onnx.load(path, load_external_data=False)
        to_half(model)
        onnx.save(model, path)


def example_inputs(config: Config) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return inputs of the right shapes for the frame pass and the instance pass."""
    memory, heads = empty_memory(config), config.heads
    image = torch.zeros(1, config.input.height, config.input.width, 3, dtype=torch.uint8)
    rows, cells, tracks = heads.detections, heads.mask_size, config.tracker.capacity
    features = torch.zeros(rows, config.backbone.channels, cells, cells)
    masks = torch.zeros(rows, 2 * cells, 2 * cells)
    slots = (torch.zeros(rows, dtype=torch.long), torch.zeros(rows))
    owners = (torch.zeros(tracks, dtype=torch.long), torch.zeros(tracks))
    return (image, memory.keys, memory.values, memory.valid), (features, masks, memory.bank, *slots, *owners)


def _write(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    names: tuple[str, ...],
    outputs: tuple[str, ...],
) -> None:
    """Export one pass with its parameters outside, in the weights file beside it."""
    with torch.inference_mode():
        program = torch.onnx.export(
            module, inputs, dynamo=True, opset_version=OPSET, verbose=False, optimize=False,
            input_names=list(names), output_names=list(outputs),
        )  # fmt: skip
    assert program is not None
    stored = dict(_stored_names(module))
    _simplify(program.model, set(stored))
    model: onnx.ModelProto = program.model_proto
    _point_outside(model, path.parent / WEIGHTS, stored)
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces of the exporter
    onnx.save(model, path)


def _simplify(model: onnx_ir.Model, parameters: set[str]) -> None:
    """Fold what is constant, but no parameter: changed or copied it would lie in no checkpoint.

    torch's own optimiser would also fuse parameters.
    """

    def should_fold(node: onnx_ir.Node) -> bool | None:
        return False if any(value and value.name in parameters for value in node.inputs) else None

    optimizer.inline(model)
    optimizer.fold_constants(model, should_fold=should_fold)
    optimizer.remove_unused_nodes(model)


def _stored_names(module: nn.Module) -> list[tuple[str, str]]:
    """Pair the name of each tensor in the graph with its name in the checkpoint."""
    prefix = {"FramePass": ("net.", ""), "InstancePass": ("attention.", "instance_attention.")}
    own, stored = prefix[type(module).__name__]
    names = list(module.state_dict())
    return [(name, stored + name.removeprefix(own)) for name in names]


def places(path: Path) -> dict[str, Place]:
    """Read where each tensor lies in a safetensors file."""
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    base = 8 + size
    return {
        name: Place(
            entry["dtype"],
            base + entry["data_offsets"][0],
            entry["data_offsets"][1] - entry["data_offsets"][0],
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _point_outside(model: onnx.ModelProto, weights: Path, stored: dict[str, str]) -> None:
    """Replace parameters by references into the weights file, each widened by a Cast."""
    table, kept, casts = places(weights), [], []
    for tensor in model.graph.initializer:
        place = table.get(stored.get(tensor.name, ""))
        if place is None or place.dtype != "F16" or place.length < EXTERNAL_FROM:
            kept.append(tensor)
            continue
        kept.append(_external(tensor, place, weights.name))
        casts.append(helper.make_node("Cast", [f"{tensor.name}_f16"], [tensor.name], to=TensorProto.FLOAT))
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for info in [v for v in model.graph.value_info if v.name in stored]:
        model.graph.value_info.remove(info)


def _external(tensor: TensorProto, place: Place, location: str) -> TensorProto:
    outside = TensorProto(name=f"{tensor.name}_f16", data_type=TensorProto.FLOAT16, dims=tensor.dims)
    outside.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", place.offset), ("length", place.length)):
        outside.external_data.add(key=key, value=str(value))
    return outside


def _manifest(config: Config, folder: Path, roi: str, precision: str) -> None:
    """Say what the model is, so that a runtime needs neither torch nor the checkpoint's header."""
    files = ("frame.onnx", "instance.onnx", WEIGHTS)
    content = {
        "config": config_to_dict(config),
        "precision": precision,
        "opset": OPSET,
        "roi": roi,
        "weights": WEIGHTS,
        "inputs": {"frame": FRAME_INPUTS, "instance": INSTANCE_INPUTS},
        "outputs": {"frame": FRAME_OUTPUTS, "instance": INSTANCE_OUTPUTS},
        "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
    }
    (folder / "manifest.json").write_text(json.dumps(content, indent=1) + "\n")


def agreement(net: PCAN, folder: Path, frames: int = 3) -> dict[str, float]:
    """Run both on moving noise with memory carried along; return the largest difference per output."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "frame.onnx"), providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    (image, *memory), _ = example_inputs(net.config)
    ours: list[Any] = list(memory)
    theirs: list[Any] = [m.numpy() for m in memory]
    worst: dict[str, float] = {}
    for _ in range(frames):
        picture = generator.integers(0, 255, image.shape, dtype=np.uint8)
        with torch.inference_mode():
            a = FramePass(net).eval()(torch.from_numpy(picture), *ours)
        b = session.run(None, dict(zip(FRAME_INPUTS, [picture, *theirs], strict=True)))
        for name, x, y in zip(FRAME_OUTPUTS, a, b, strict=True):
            difference = float(np.abs(x.numpy().astype(np.float64) - y).max(initial=0))
            worst[name] = max(worst.get(name, 0.0), difference)
        ours, theirs = list(a[-3:]), list(b[-3:])
    return worst


def main(argv: list[str] | None = None) -> int:
    """Run `pcan-export`; errors of the user's making are one line."""
    p = argparse.ArgumentParser(
        prog="pcan-export", description=EXPLANATION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("config", nargs="?", help="preset or YAML file (default: the one in the checkpoint)")
    p.add_argument("--weights", type=Path, help="checkpoint of pcan-train; without it the weights are random")
    p.add_argument("--out", type=Path, required=True, help="folder to write, or an exported model to replace")
    p.add_argument(
        "--roi",
        choices=ROI,
        default=ROI[0],
        help="how regions are read: the operator, or sampling for TensorRT (default: %(default)s)",
    )
    p.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=PRECISIONS[0],
        help="of the heavy layers; boxes and attention stay fp32 (default: %(default)s)",
    )
    args = p.parse_args(argv)
    try:
        if not args.weights and not args.config:
            raise ConfigError("expected a CONFIG or --weights, got neither")
        stored, metrics = checkpoint.load_header(args.weights) if args.weights else (None, {})
        config = load_config(args.config) if args.config else stored
        assert config is not None
        net = PCAN(config).eval()
        if args.weights:
            checkpoint.load_weights(args.weights, net)
        folder = export(net, args.out, metrics, roi=args.roi, precision=args.precision)
    except (ValueError, OSError) as error:
        raise SystemExit(f"pcan-export: {error}") from error
    for name, difference in agreement(net, folder).items():
        print(f"{name:14} largest difference to torch {difference:.2e}")
    print(f"exported: {folder}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
