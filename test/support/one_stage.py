"""One-stage PCAN small enough for tests, and the path of the published detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from support.small import HEIGHT, VALUES, WIDTH, _standardise, blocks
from torch import nn

from pcan_model.core.config import Config, config_from_dict
from pcan_model.one_stage.pcan import YoloxPCAN, YoloxPyramid
from pcan_model.one_stage.yolox import Conv

SHARED = Path(__file__).parents[3] / "shared"
PUBLISHED = SHARED / "weights/yolox_nano_coco.onnx"
HIDDEN = 16  # channels of the small pyramid


def one_stage_config(**parts: dict[str, Any]) -> Config:
    """Return the small configuration on YOLOX, with some fields changed."""
    values = {key: dict(part) if isinstance(part, dict) else part for key, part in VALUES.items()}
    values |= {"name": "small_one_stage", "detector": "yolox"}
    values["backbone"] = {"kind": "darknet_nano", "channels": HIDDEN}
    values["input"] |= {"mean": [0, 0, 0], "std": [1, 1, 1], "border": [114, 114, 114]}
    values["proposals"] = {"nms_steps": 12}
    values["train"] |= {"stage": "regions"}
    for key, part in parts.items():
        values[key] = {**values[key], **part}
    return config_from_dict(values)


def one_stage_net(config: Config | None = None, *, awake: bool = True, seed: int = 0) -> YoloxPCAN:
    """Return a network of random weights with distinct scores; awake: the modules have an effect, too."""
    torch.manual_seed(seed)
    net = YoloxPCAN(config or one_stage_config())
    with torch.no_grad():
        pixels = blocks(HEIGHT, WIDTH, seed=98)
        trunk = cast(YoloxPyramid, net.backbone)
        _, *coarser = trunk.darknet(net.normalise(pixels))
        for stem, x in zip(trunk.stems, trunk.paths(coarser), strict=True):
            conv = cast(Conv, stem).conv
            _standardise(conv, conv(x))
        levels = net.features(pixels)
        for head, level in zip(net.heads, levels[1:], strict=True):
            classes, offsets, objectness = head(level)
            _standardise(head.classes, classes, spread=2.0)  # type: ignore[arg-type]
            _standardise(head.offsets, offsets, spread=0.5)  # type: ignore[arg-type]
            _standardise(head.objectness, objectness, spread=2.0)  # type: ignore[arg-type]
        if awake:
            for module in net.frame_attention:
                nn.init.normal_(module.fuse.weight, std=0.2)  # type: ignore[arg-type, union-attr]
            nn.init.normal_(net.instance_attention.head.mask.weight, std=0.5)
    return net.eval()
