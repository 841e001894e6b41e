"""A network, images and batches small enough for tests of a second."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from pcan_model.core.config import Config, config_from_dict
from pcan_model.model.pcan import PCAN
from pcan_model.training.loader import Batch
from pcan_model.training.targets import GroundTruth

HEIGHT, WIDTH = 128, 192  # of the network input and of training images
VALUES: dict[str, Any] = {
    "name": "small",
    "input": {"height": HEIGHT, "width": WIDTH},
    "backbone": {"kind": "mobilenet_v2", "channels": 16, "separable": True},
    "frame_attention": {
        "memory_frames": 3,
        "prototypes": 8,
        "em_steps": 3,
        "key_channels": 8,
        "value_channels": 16,
    },
    "proposals": {"anchor_scale": 4.0, "per_level": 50, "count": 40},
    "heads": {
        "box_channels": 32,
        "mask_layers": 1,
        "embed_layers": 1,
        "embed_channels": 16,
        "class_agnostic": True,
        "detections": 12,
    },
    "instance_attention": {"foreground": 5, "background": 4, "key_channels": 8, "layers": 1, "em_steps": 3},
    "tracker": {"capacity": 16, "init_score": 0.1, "track_score": 0.05},
    "train": {
        "iterations": 4,
        "batch": 2,
        "warmup": 1,
        "crop_height": HEIGHT,
        "crop_width": WIDTH,
        "proposals": 60,
        "rpn_samples": 64,
        "roi_samples": 32,
        "memory_share": 1.0,
        "mixed_precision": False,
    },
}


def small_config(**parts: dict[str, Any]) -> Config:
    """Return the small configuration with some fields changed, such as heads={"detections": 5}."""
    config = config_from_dict(VALUES)
    return replace(config, **{k: replace(getattr(config, k), **values) for k, values in parts.items()})


def small_net(config: Config | None = None, seed: int = 0) -> PCAN:
    """Return a network of random weights, with nonzero initialisation and distinct scores."""
    torch.manual_seed(seed)
    net = PCAN(config or small_config())
    wake(net)
    return net.eval()


def few_steps(**parts: dict[str, Any]) -> PCAN:
    """Return a network whose graph is small: few levels with a memory, few steps of EM and suppression."""
    config = small_config(
        frame_attention={"levels": (4, 5), "em_steps": 1},
        instance_attention={"em_steps": 1},
        proposals={"nms_steps": 4},
        **parts,
    )
    return small_net(config)


def wake(net: PCAN) -> None:
    """Let a random network respond to images: no weights are zero, and outputs have unit variance.

    Untouched, random layers flatten all differences; scores are then alike, and ties decide what is compared.
    """
    with torch.no_grad():
        for module in net.frame_attention:
            nn.init.normal_(module.fuse.weight, std=0.2)  # type: ignore[arg-type, union-attr]
        nn.init.normal_(net.instance_attention.head.mask.weight, std=0.5)
        size = net.config.input
        _spread(net, blocks(size.height, size.width, seed=99))
        levels = net.features(blocks(size.height, size.width, seed=98))
        head = net.proposals
        _standardise(head.objectness, head.objectness(head.layer(levels[0]).relu()))
        grids = torch.cat([unfold(level) for level in levels[:3]])
        _standardise(net.box_head.logits, net.box_head(grids)[0], spread=2.0)
        _standardise(net.embedding_head.embed, net.embedding_head(grids), spread=0.5)


def blocks(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Return an image of coloured blocks, (1, height, width, 3) uint8."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.randint(0, 256, (1, height // 16, width // 16, 3), generator=generator, dtype=torch.uint8)
    return small.repeat_interleave(16, 1).repeat_interleave(16, 2).contiguous()


def unfold(level: torch.Tensor) -> torch.Tensor:
    """Return the 7 x 7 squares of a feature map as if they were regions."""
    return level.unfold(2, 7, 5).unfold(3, 7, 5).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)


def _spread(net: PCAN, pixels: torch.Tensor) -> None:
    """Set the batch statistics to those of an image, and the pyramid's levels to unit variance."""
    norms = [m for m in net.backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    net.features(pixels)
    for norm in norms:
        norm.eval()
    for layer, level in zip(net.pyramid.output, net.features(pixels), strict=True):
        _standardise(layer[-1] if isinstance(layer, nn.Sequential) else layer, level)  # type: ignore[arg-type]


def _standardise(layer: nn.Conv2d | nn.Linear, output: torch.Tensor, spread: float = 1.0) -> None:
    """Give each channel of a layer's output, (rows, channels, ...), mean 0 and deviation `spread`."""
    assert layer.bias is not None
    rows = output.transpose(0, 1).flatten(1)
    scale = spread / rows.std(1)
    layer.weight *= scale.reshape(-1, *[1] * (layer.weight.dim() - 1))
    layer.bias.copy_((layer.bias - rows.mean(1)) * scale)


def small_truth(objects: int, shift: int = 0, seed: int = 0) -> GroundTruth:
    """Return an image with some rectangles and its labels; `shift` moves them to the right."""
    random = np.random.default_rng(seed)
    boxes = np.zeros((objects, 4), np.float32)
    masks = np.zeros((objects, HEIGHT, WIDTH), bool)
    for k in range(objects):
        width, height = random.integers(24, 56, 2)
        x = int(random.integers(0, WIDTH - width - shift)) + shift
        y = int(random.integers(0, HEIGHT - height))
        boxes[k] = x, y, x + width, y + height
        masks[k, y : y + height, x : x + width] = True
    labels = random.integers(0, 8, objects)
    ids = np.arange(1, objects + 1)
    ignore = np.zeros((HEIGHT, WIDTH), bool)
    return GroundTruth(*(torch.from_numpy(v) for v in (boxes, labels, ids, masks, ignore)))


def small_batch(objects: int = 3, pairs: int = 2, seed: int = 0) -> Batch:
    """Return pairs of coloured rectangles on noise, moved a little from key to reference."""
    generator = torch.Generator().manual_seed(seed)
    targets = [small_truth(objects, 4 * is_ref, seed + i) for is_ref in range(2) for i in range(pairs)]
    images = torch.randint(0, 90, (2 * pairs, HEIGHT, WIDTH, 3), generator=generator, dtype=torch.uint8)
    for image, target in zip(images, targets, strict=True):
        for k, mask in enumerate(target.masks):
            image[mask] = torch.tensor([120 + 40 * k, 250 - 60 * k, 130], dtype=torch.uint8)
    return Batch(images, targets, list(range(pairs)))
