"""MobileNetV2 out of a frozen TensorFlow graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.small import small_config
from torch.nn import functional
from torchvision.models import mobilenet_v2

from pcan_model.core.config import InputConfig
from pcan_model.model.backbone import Backbone
from pcan_model.model.checkpoint import CheckpointError
from pcan_model.model.pcan import PCAN
from pcan_model.training.pretrained import load_pretrained
from pcan_model.training.tensorflow_weights import BACKBONE, read_mobilenet

graph_pb2 = pytest.importorskip("tensorboard.compat.proto.graph_pb2")
NAMES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def add(graph: Any, name: str, values: NDArray[np.float32]) -> None:
    node = graph.node.add(name=name, op="Const")
    tensor = node.attr["value"].tensor
    for size in values.shape:
        tensor.tensor_shape.dim.add(size=size)
    if values.size > 1 and (values == values.flat[0]).all():
        tensor.float_val.append(float(values.flat[0]))  # as TensorFlow packs equal values
    else:
        tensor.tensor_content = values.astype("<f4").tobytes()


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    """Write torchvision's network the way TensorFlow stores it; return it with its state."""
    torch.manual_seed(0)
    net, graph = mobilenet_v2(weights=None).features, graph_pb2.GraphDef()
    state = {n: t for n, t in net.state_dict().items() if not n.endswith("num_batches_tracked")}
    state["0.1.running_mean"] = torch.randn(32)
    state["0.1.running_var"] = torch.rand(32) + 0.5
    for name, tensor in state.items():
        values, part = tensor.numpy(), name.rsplit(".", 1)[1]
        if values.ndim == 4 and values.shape[1] == 1 and values.shape[0] > 1:
            add(graph, f"{BACKBONE}{name}/depthwise_weights", values.transpose(2, 3, 0, 1))
        elif values.ndim == 4:
            add(graph, f"{BACKBONE}{name}/weights", values.transpose(2, 3, 1, 0))
        else:
            add(graph, f"{BACKBONE}{name}/{NAMES[part]}", values)
    add(graph, f"{BACKBONE}layer_19_2/weights", np.zeros((1, 1, 2, 2), np.float32))
    add(graph, "BoxPredictor_0/weights", np.zeros((1, 1, 2, 2), np.float32))
    path = tmp_path_factory.mktemp("frozen") / "graph.pb"
    path.write_bytes(graph.SerializeToString())
    return path, state


def test_every_tensor_comes_back_in_torchvisions_order(frozen: tuple[Path, dict[str, torch.Tensor]]) -> None:
    path, state = frozen
    names = list(state)
    tensors = read_mobilenet(path, (127.5,) * 3, (127.5,) * 3)  # what the detector itself does
    assert len(tensors) == len(names)
    for name, tensor in zip(names, tensors, strict=True):
        gap = 1e-3 - 1e-5 if name.endswith("running_var") else 0.0
        torch.testing.assert_close(tensor, state[name] + gap, msg=name)


def test_the_first_layer_sees_our_images_as_the_detector_saw_its_own(
    frozen: tuple[Path, dict[str, torch.Tensor]],
) -> None:
    path, state = frozen
    config = small_config()
    net = load_pretrained(PCAN(config), path).eval()
    image = torch.randint(0, 256, (1, 3, 16, 16)).float()
    ours = net.backbone.stages[0][0](_normalised(image, config.input))  # type: ignore[index]
    theirs = functional.conv2d(image / 127.5 - 1, state["0.0.weight"], stride=2, padding=1)
    mean, var = (state[f"0.1.running_{n}"][:, None, None] for n in ("mean", "var"))
    theirs = ((theirs - mean) / (var + 1e-3).sqrt()).clamp(0, 6)  # gamma 1, beta 0
    torch.testing.assert_close(ours[..., 1:, 1:], theirs[..., 1:, 1:], rtol=1e-4, atol=1e-4)  # not the border


def _normalised(image: torch.Tensor, config: InputConfig) -> torch.Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (config.mean, config.std))
    return (image - mean) / std


def test_all_of_the_backbone_is_filled(frozen: tuple[Path, dict[str, torch.Tensor]]) -> None:
    net = load_pretrained(PCAN(small_config()), frozen[0])
    assert isinstance(net.backbone, Backbone)
    last = net.backbone.stages[3][-1].conv[2].weight  # type: ignore[index, union-attr]
    torch.testing.assert_close(last, frozen[1]["17.conv.2.weight"])


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.pb: expected a frozen TensorFlow graph, got no such"):
        load_pretrained(PCAN(small_config()), tmp_path / "none.pb")
    (tmp_path / "text.pb").write_text("no graph at all")
    with pytest.raises(CheckpointError, match=r"text\.pb: expected "):
        load_pretrained(PCAN(small_config()), tmp_path / "text.pb")
    (tmp_path / "empty.pb").write_bytes(graph_pb2.GraphDef().SerializeToString())
    with pytest.raises(CheckpointError, match=r"empty\.pb: expected constants named FeatureExtractor"):
        load_pretrained(PCAN(small_config()), tmp_path / "empty.pb")
