"""Export of the two passes as ONNX graphs."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir
import torch
from onnxscript import optimizer, rewriter
from onnxscript.rewriter.rules.common import fuse_batchnorm_into_conv_rule
from torch import Tensor, nn

from pcan_model.core.config import Config
from pcan_model.export.weights import point_inside, point_outside
from pcan_model.inference.manifest import WEIGHTS
from pcan_model.inference.torch_engine import empty_memory
from pcan_model.model.pass_signature import PassSignature
from pcan_model.model.passes import InstancePass

OPSET = 19  # the first with fp8; TensorRT's parser takes GridSample of opset 20 as nearest


def example_inputs(config: Config, signature: PassSignature) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return example inputs of the frame pass and of the instance pass."""
    memory, n, size = empty_memory(signature), signature.cameras, signature.camera_format or config.input
    rows, tracks = n * config.heads.detections, n * config.tracker.capacity
    parts = memory.frames
    if n > 1:
        parts = *(torch.stack([part] * n) for part in parts), torch.ones(n)
    frame = torch.zeros(n, size.height, size.width, 3, dtype=torch.uint8), *parts
    with torch.inference_mode():
        out = dict(zip(signature.outputs["frame"], signature.frame(*frame), strict=True))
    features = (out[name].clone() for name in signature.features)
    bank = (part.repeat(n, *[1] * (part.dim() - 1)) for part in memory.bank)
    slots = torch.zeros(rows, dtype=torch.long), torch.zeros(rows)
    owners = torch.zeros(tracks, dtype=torch.long), torch.ones(tracks)
    return frame, (*features, *bank, *slots, *owners)


def write_pass(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    names: tuple[str, ...],
    outputs: tuple[str, ...],
) -> None:
    """Export one pass; its parameters are external data in the weights file beside it."""
    with torch.inference_mode():
        program = torch.onnx.export(
            module, inputs, dynamo=True, opset_version=OPSET, verbose=False, optimize=False,
            input_names=list(names), output_names=list(outputs),
        )  # fmt: skip
    assert program is not None
    stored = dict(_stored_names(module))
    _simplify(program.model, set(stored))
    model: onnx.ModelProto = program.model_proto
    point_outside(model, path.parent / WEIGHTS, stored)
    _save(model, path)


def embed_weights(path: Path) -> None:
    """Store an exported graph's weights in the graph itself, in fp32, with batch normalisation fused."""
    model = onnx.load(path)
    point_inside(model)
    whole = onnx_ir.from_proto(model)
    optimizer.fold_constants(whole, should_fold=lambda node: True)  # rearranged weights, whatever their size
    optimizer.remove_unused_nodes(whole)
    rewriter.rewrite(whole, [fuse_batchnorm_into_conv_rule])
    _save(onnx_ir.to_proto(whole), path)


def _save(model: onnx.ModelProto, path: Path) -> None:
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces of the exporter, names of rewriting rules
    onnx.save(model, path)


def _simplify(model: onnx_ir.Model, parameters: set[str]) -> None:
    """Fold constants, but no parameters, since folded ones would not be in the checkpoint.

    torch's own optimiser would fuse parameters, too.
    """

    def should_fold(node: onnx_ir.Node) -> bool | None:
        return False if any(value and value.name in parameters for value in node.inputs) else None

    optimizer.inline(model)
    optimizer.fold_constants(model, should_fold=should_fold)
    optimizer.remove_unused_nodes(model)


def _stored_names(module: nn.Module) -> list[tuple[str, str]]:
    """Pair the name of each tensor in the graph with its name in the checkpoint."""
    names = list(module.state_dict())
    if isinstance(module, InstancePass):
        return [(name, name.replace("attention.", "instance_attention.", 1)) for name in names]
    return [(name, name.partition("net.")[2]) for name in names]
