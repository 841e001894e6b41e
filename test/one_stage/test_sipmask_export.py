"""SipMask's PCAN exported: graphs, engines and several cameras take it as any other form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from support.bench import Bench
from support.moving import moving_blocks, track
from support.rounded import BlockClip, round_all
from support.sipmask import SMALL
from support.small import HEIGHT, WIDTH, blocks, small_config
from torch import nn

from pcan_model.core.config import Config
from pcan_model.export.agreement import agreement
from pcan_model.export.cameras import several
from pcan_model.export.model_folder import export
from pcan_model.export.options import ExportOptions
from pcan_model.factory import make_engine, make_net
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.inference.tensorrt.bindings import Bindings
from pcan_model.inference.tensorrt.build import BuildOptions, build_engine
from pcan_model.inference.torch_engine import empty_memory
from pcan_model.model.pass_names import REGION_LEVELS
from pcan_model.model.pass_signature import grid_sample
from pcan_model.sipmask.pcan import SipMaskPCAN

COARSE = {"boxes": 0.02, "roi_features": 0.02} | dict.fromkeys(REGION_LEVELS, 0.02)  # of up to some hundred


def config() -> Config:
    """Return a street configuration on MobileNetV2 whose graph is small."""
    base = small_config(
        frame_attention={"em_steps": 1, "levels": (4, 5)},
        instance_attention={"em_steps": 1},
        proposals={"nms_steps": 3},
        heads={"score_threshold": 0.2},
        tracker={"init_score": 0.3, "match_score": 0.1, "similarity": "cosine"},
    )
    sipmask = replace(SMALL.sipmask, class_layers=1, box_layers=1, track_layers=1)
    return replace(base, name="small_sipmask", detector="sipmask", backbone=SMALL.backbone, sipmask=sipmask)


@pytest.fixture(scope="module")
def net() -> SipMaskPCAN:
    """Return a network of random weights that finds something, all of whose modules work."""
    torch.manual_seed(0)
    net = make_net(config())
    assert isinstance(net, SipMaskPCAN)
    head = net.head
    for layer in (head.classes, head.centre, head.coefficients, head.box, head.track):
        nn.init.normal_(layer.weight, std=0.15)
    nn.init.constant_(head.classes.bias, -2.0)  # type: ignore[arg-type]
    assert head.align.offset is not None
    nn.init.normal_(head.align.offset.weight, std=0.1)
    for module in net.frame_attention:
        nn.init.normal_(module.fuse.weight, std=0.1)  # type: ignore[union-attr, arg-type]
    nn.init.normal_(net.instance_attention.head.mask.weight, std=0.5)
    return net.eval()


def operators(folder: Path) -> set[str]:
    graph = onnx.load(folder / "frame.onnx", load_external_data=False).graph
    return {node.op_type for node in graph.node}


def check_agreement(net: SipMaskPCAN, folder: Path) -> None:
    for name, difference in agreement(net, folder, frames=2).items():
        assert difference < COARSE.get(name, 2e-3), name


def test_for_processors_it_aligns_by_the_operator_and_tracks_as_in_torch(
    net: SipMaskPCAN, tmp_path: Path
) -> None:
    folder = export(net, tmp_path / "model")
    assert "DeformConv" in operators(folder)
    check_agreement(net, folder)
    frames = moving_blocks(6)
    ours, theirs = track(OnnxEngine(folder, 1), frames), track(make_engine(net), frames)
    assert sum(len(tracks.found()) for tracks in theirs) > 10
    for a, b in zip(ours, theirs, strict=True):
        assert [i.track_id for i in a.instances] == [i.track_id for i in b.instances]


@pytest.fixture(scope="module")
def sampled(net: SipMaskPCAN, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the graphs for TensorRT."""
    return export(net, tmp_path_factory.mktemp("sampled") / "model", ExportOptions(roi="gridsample"))


@pytest.mark.slow
def test_for_tensorrt_it_aligns_by_sampling_and_the_stand_in_runs_it(
    net: SipMaskPCAN, sampled: Path, bench: Bench
) -> None:
    folder = sampled
    assert "DeformConv" not in operators(folder)
    check_agreement(net, folder)
    frames = moving_blocks(6)
    ours, theirs = track(bench.engine(folder), frames), track(OnnxEngine(folder, 1), frames)
    assert sum(len(tracks.found()) for tracks in theirs) > 10
    for a, b in zip(ours, theirs, strict=True):
        assert [(i.track_id, i.score) for i in a.instances] == [(i.track_id, i.score) for i in b.instances]
        for x, y in zip(a.instances, b.instances, strict=True):
            np.testing.assert_array_equal(x.mask.crop, y.mask.crop)


@pytest.mark.slow
def test_in_8_bits_it_tracks_the_same_objects_and_tensorrt_rtx_builds_it(
    net: SipMaskPCAN, sampled: Path, tmp_path: Path
) -> None:
    trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: make env")
    pytest.importorskip("modelopt", reason="ModelOpt is not installed: make env")
    folder = round_all(net, sampled, tmp_path, [BlockClip(2, 11)], frames=2, precisions=["int8"])["int8"]
    frames = moving_blocks(4)
    ours, theirs = (track(OnnxEngine(one, 1), frames) for one in (folder, sampled))
    for a, b in zip(ours, theirs, strict=True):
        assert len(b.found()) and [i.track_id for i in a.instances] == [i.track_id for i in b.instances]
    plan = build_engine(
        Bindings("tensorrt_rtx", trt, None), folder / "frame.onnx", BuildOptions("8.9", level=0)
    )
    assert len(plan.plan) > 100_000


@torch.inference_mode()
def test_several_cameras_see_what_each_sees_alone(net: SipMaskPCAN) -> None:
    images = [blocks(HEIGHT, WIDTH, seed=seed) for seed in (0, 5)]
    single = grid_sample(net)
    alone = [single.frame(image, *empty_memory(single).frames) for image in images]
    memory = [torch.stack([part, part]) for part in empty_memory(single).frames]
    both = several(net, 2).frame(torch.cat(images), *memory, torch.ones(2))
    for k in range(6):  # boxes, scores, labels, embeddings, regions, masks
        torch.testing.assert_close(both[k], torch.cat([out[k] for out in alone]), atol=1e-4, rtol=1e-4)
