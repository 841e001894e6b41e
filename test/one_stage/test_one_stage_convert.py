"""YOLOX-Nano from its published file: the same numbers, and BDD100K's classes from COCO's rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from support.one_stage import PUBLISHED, one_stage_config
from support.small import blocks

from pcan_model.cli.convert import main
from pcan_model.core.config import load_config
from pcan_model.factory import make_net
from pcan_model.model.checkpoint import CheckpointError, load_header
from pcan_model.one_stage.pcan import YoloxPCAN
from pcan_model.training.one_stage.convert_yolox import load_yolox

published = pytest.mark.skipif(not PUBLISHED.is_file(), reason=f"{PUBLISHED} is not here")
COCO = [f"coco_{i}" for i in range(80)]
CAR, PERSON, RIDER = 2, 0, 1  # rows of ours


def free_size(path: Path) -> onnxruntime.InferenceSession:
    """Open the published graph for images of any size."""
    model = onnx.load(path)
    targets = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for tensor in model.graph.initializer:
        if tensor.name in targets:
            tensor.CopyFrom(numpy_helper.from_array(np.array([1, 85, -1]), tensor.name))
    for value, names in ((model.graph.input[0], {2: "h", 3: "w"}), (model.graph.output[0], {1: "cells"})):
        for axis, name in names.items():
            value.type.tensor_type.shape.dim[axis].dim_param = name
    del model.graph.value_info[:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


@published
def test_every_number_of_the_published_network_comes_out_at_three_sizes() -> None:
    net = make_net(replace(load_config("pcan_street"), classes=tuple(COCO))).eval()
    assert isinstance(net, YoloxPCAN)
    load_yolox(net, PUBLISHED, rows=list(range(80)))
    session = free_size(PUBLISHED)
    for height, width in ((416, 416), (384, 640), (160, 288)):
        image = blocks(height, width, seed=height)
        given = image.flip(-1).permute(0, 3, 1, 2).float().numpy()
        (theirs,) = session.run(None, {"images": given})
        with torch.inference_mode():
            cells = net.cells(net.features(image))
        parts = cells.offsets, cells.objectness.sigmoid()[..., None], cells.classes.sigmoid()
        ours = torch.cat(parts, -1).numpy()
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-4)
        assert theirs[..., 4].max() > 0.01


@published
def test_our_classes_take_the_rows_of_coco_and_a_rider_never_wins_untaught() -> None:
    net = YoloxPCAN(load_config("pcan_street"))
    load_yolox(net, PUBLISHED)
    graph = onnx.load(PUBLISHED).graph
    row = numpy_helper.to_array(next(t for t in graph.initializer if t.name == "head.cls_preds.1.weight"))
    head = net.heads[1].classes
    assert isinstance(head.weight, torch.Tensor)
    np.testing.assert_array_equal(head.weight[CAR].detach().numpy(), row[2])
    assert torch.equal(head.weight[RIDER], head.weight[PERSON])  # type: ignore[index]
    bias = head.bias.detach()  # type: ignore[union-attr, operator]
    assert float(bias[RIDER] - bias[PERSON]) == pytest.approx(-20)


@published
def test_the_command_writes_weights_that_a_training_starts_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(PUBLISHED), "--out", str(tmp_path / "start.safetensors")]) == 0
    assert load_header(tmp_path / "start.safetensors")[0] == load_config("pcan_street")
    assert "parameters" in capsys.readouterr().out


def tiny_graph(path: Path, *, bias: bool = True) -> Path:
    """Write a graph of one convolution."""
    names = ["weight", "bias"][: 1 + bias]
    tensors = [
        numpy_helper.from_array(x, name)
        for x, name in zip(
            (np.zeros((16, 12, 3, 3), np.float32), np.zeros(16, np.float32)), names, strict=False
        )
    ]
    ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in ("x", "y")]
    node = helper.make_node("Conv", ["x", *names], ["y"])
    onnx.save(helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:], tensors)), path)
    return path


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: tiny_graph(path), "convolutions of YOLOX-Nano, got 1"),
        (lambda path: tiny_graph(path, bias=False), "y: expected a convolution with weight and bias"),
        (lambda path: path.write_bytes(b"no graph"), "expected an ONNX file"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path: Path, make, what: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "other.onnx"
    make(path)
    with pytest.raises(CheckpointError, match=what):
        load_yolox(YoloxPCAN(one_stage_config()), path)


def test_the_command_says_which_configuration_fits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tiny_graph(tmp_path / "other.onnx")
    assert main([str(path), "--config", "pcan_street_tiny"]) == 2
    assert "detector: expected yolox" in capsys.readouterr().err
