"""The published YOLOX-Nano (ONNX, trained on COCO) as the detector of one-stage PCAN."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from pcan_model.core.config import Config, ConfigError
from pcan_model.model import checkpoint
from pcan_model.model.checkpoint import CheckpointError
from pcan_model.one_stage.pcan import YoloxPCAN, YoloxPyramid

COCO = {  # index in COCO's 80 classes for each of our classes
    "pedestrian": 0, "rider": 0, "car": 2, "truck": 7, "bus": 5, "train": 6, "motorcycle": 3, "bicycle": 1,
}  # fmt: skip
UNKNOWN = {"rider": -20.0}  # added to the bias: not a class of COCO, so it must not win before it is trained


def read_convolutions(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Return weight and bias of every convolution of an ONNX file, in the order of the graph."""
    try:
        graph = onnx.load(path).graph
    except Exception as error:  # protobuf's parser raises many types
        raise CheckpointError(f"{path}: expected an ONNX file, got another or a part of one") from error
    stored = {tensor.name: tensor for tensor in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        if len(node.input) != 3 or any(name not in stored for name in node.input[1:]):
            raise CheckpointError(f"{path}: {node.output[0]}: expected a convolution with weight and bias")
        weight, bias = (torch.from_numpy(_numbers(stored[name])) for name in node.input[1:])
        found.append((weight, bias))
    return found


def _numbers(tensor: onnx.TensorProto) -> NDArray[np.float32]:
    return numpy_helper.to_array(tensor).astype(np.float32)


def load_yolox(net: YoloxPCAN, path: Path, rows: list[int] | None = None) -> None:
    """Load the published detector into a network; other weights are unchanged.

    rows  index in the file's classes for each of the network's; None: found by name in COCO
    Raises CheckpointError that names the first convolution that does not match.
    """
    names = net.config.classes
    if unknown := [] if rows else [name for name in names if name not in COCO]:
        raise CheckpointError(f"{path}: classes: expected of {sorted(COCO)}, got {unknown}")
    chosen = torch.tensor(rows or [COCO[name] for name in names])
    shift = torch.tensor([0.0 if rows else UNKNOWN.get(name, 0.0) for name in names])
    ours, theirs = _convolutions(net), read_convolutions(path)
    if len(ours) != len(theirs):
        raise CheckpointError(
            f"{path}: expected the {len(ours)} convolutions of YOLOX-Nano, got {len(theirs)}"
        )
    first = ours[0][1]
    scores = {id(head.classes) for head in net.heads}
    for (name, layer), (weight, bias) in zip(ours, theirs, strict=True):
        if id(layer) in scores:
            if int(chosen.max()) >= len(weight):
                raise CheckpointError(f"{path}: {name}: expected the 80 classes of COCO, got {len(weight)}")
            weight, bias = weight[chosen], bias[chosen] + shift
        if weight.shape != layer.weight.shape:
            expected, got = tuple(layer.weight.shape), tuple(weight.shape)
            raise CheckpointError(f"{path}: {name}: expected {expected}, got {got}")
        if layer is first:
            weight = weight.unflatten(1, (4, 3)).flip(2).flatten(1, 2)  # BGR to RGB in all four pixels
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)  # type: ignore[union-attr]


def _convolutions(net: YoloxPCAN) -> list[tuple[str, nn.Conv2d]]:
    """Return the detector's convolutions by name, in the order of the file."""
    trunk = cast(YoloxPyramid, net.backbone)
    parts: list[tuple[str, nn.Module]] = [
        ("backbone.darknet", trunk.darknet),
        ("backbone.paths", trunk.paths),
    ]
    for i, (stem, head) in enumerate(zip(trunk.stems, net.heads, strict=True)):
        parts += [(f"backbone.stems.{i}", stem), (f"heads.{i}", head)]
    return [
        (f"{where}.{name}", layer)
        for where, part in parts
        for name, layer in part.named_modules()
        if isinstance(layer, nn.Conv2d)
    ]


def convert_yolox_file(source: Path, out: Path, config: Config) -> int:
    """Write initial weights of one-stage PCAN on a published detector; returns the number of parameters.

    Masks, embeddings and attention are initialised at random. Raises ConfigError for another detector.
    """
    if config.detector != "yolox":
        raise ConfigError(f"{config.name}: detector: expected yolox for {source.name}, got {config.detector}")
    torch.manual_seed(0)
    net = YoloxPCAN(config)
    load_yolox(net, source)
    checkpoint.save(out, net, config, {"source": source.name})
    return sum(parameter.numel() for parameter in net.parameters())
