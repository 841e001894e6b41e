"""MobileNetV2 out of a frozen TensorFlow detector (TF Object Detection API), without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcan_model.model.checkpoint import CheckpointError

BACKBONE = "FeatureExtractor/MobilenetV2/"  # names of its constants begin so
EXTRA = "layer_19"  # further layers of the detector, behind the backbone
EPSILON_GAP = 1e-3 - 1e-5  # TensorFlow's batch normalisation adds 1e-3 to the variance, torch 1e-5
HALF_RANGE = 127.5  # the detector sees images in [-1, 1]


def read_mobilenet(path: Path, mean: tuple[float, ...], std: tuple[float, ...]) -> list[Tensor]:
    """Read the backbone's tensors in the order of torchvision's `mobilenet_v2().features`.

    The first layer is rewritten for images that are normalised by mean and std (RGB, 0..255).
    TensorFlow pads strided layers on one side only: features lie up to a pixel of their level aside.
    Raises CheckpointError when the file is no frozen graph with this backbone.
    """
    from tensorboard.compat.proto.graph_pb2 import GraphDef  # here: only training has it

    graph = GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf's own kinds depend on its version
        raise CheckpointError(f"{path}: expected a frozen TensorFlow graph, got another file") from error
    nodes = [n for n in graph.node if n.op == "Const" and n.name.startswith(BACKBONE) and EXTRA not in n.name]
    tensors = [t for t in (_tensor(node) for node in nodes) if t is not None]
    if not tensors:
        raise CheckpointError(f"{path}: expected constants named {BACKBONE}…, got none")
    return _for_normalised(tensors, torch.tensor(mean), torch.tensor(std))


def _tensor(node: Any) -> Tensor | None:
    """Return one constant as torch has it, or None where the backbone has no such part."""
    values = _values(node.attr["value"].tensor)
    match node.name.rpartition("/")[2]:
        case "weights":
            return torch.tensor(values.transpose(3, 2, 0, 1).copy())
        case "depthwise_weights":
            return torch.tensor(values.transpose(2, 3, 0, 1).copy())
        case "gamma" | "beta" | "moving_mean":
            return torch.tensor(values)
        case "moving_variance":
            return torch.tensor(values + np.float32(EPSILON_GAP))
    return None


def _values(tensor: Any) -> NDArray[np.float32]:
    shape = [dimension.size for dimension in tensor.tensor_shape.dim]
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, np.float32).reshape(shape).copy()
    return np.full(shape, tensor.float_val[0] if tensor.float_val else 0, np.float32)


def _for_normalised(tensors: list[Tensor], mean: Tensor, std: Tensor) -> list[Tensor]:
    """Let the first convolution take (x - mean) / std instead of x / 127.5 - 1.

    tensors  weight, gamma, beta, running mean, running variance of the first layer, then the others
    """
    weight, gamma, beta, running_mean, *others = tensors
    offset = (weight * (mean / HALF_RANGE - 1).view(1, 3, 1, 1)).sum((1, 2, 3))
    weight = weight * (std / HALF_RANGE).view(1, 3, 1, 1)
    return [weight, gamma, beta, running_mean - offset, *others]
