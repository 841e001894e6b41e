"""The released variant, small enough for tests of a second."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from support.small import VALUES, _spread, _standardise, blocks, small_batch, unfold

from pcan_model.core.config import Config, config_from_dict
from pcan_model.core.structures import Frame
from pcan_model.released.network import ReleasedPCAN

__all__ = ["dimmed", "fixed_released", "small_batch", "small_released", "small_released_config"]

RELEASED: dict[str, Any] = VALUES | {
    "variant": "released",
    "input": {"fit": "resize", "height": 120, "width": 190},
    "backbone": {"kind": "mobilenet_v2", "channels": 16},
    "frame_attention": {"levels": [2, 3], "prototypes": 6, "em_steps": 3},
    "heads": VALUES["heads"] | {"class_agnostic": False, "cell_samples": 0, "score_threshold": 0.15},
    "instance_attention": {"foreground": 4, "background": 4, "em_steps": 6, "layers": 1},
    "tracker": {"capacity": 64, "init_score": 0.2, "track_score": 0.1, "match_score": 0.3},
}


def small_released_config(**parts: dict[str, Any]) -> Config:
    """Return the small configuration with some fields changed."""
    config = config_from_dict(RELEASED)
    return replace(config, **{k: replace(getattr(config, k), **values) for k, values in parts.items()})


def fixed_released(**parts: dict[str, Any]) -> ReleasedPCAN:
    """Return a small network for images of 114 x 190, which are padded to 128 x 192, with few steps."""
    fixed: dict[str, dict[str, Any]] = {
        "input": {"height": 114, "width": 190},
        "heads": {"cell_samples": 2},
        "frame_attention": {"em_steps": 2},
        "instance_attention": {"em_steps": 2},
    }
    return small_released(**fixed | parts)


def dimmed(count: int = 4) -> list[Frame]:
    """Return a scene of 114 x 190 that darkens, so that tracks continue, and jumps aside at the end."""
    scene = blocks(128, 208, seed=5)[0].numpy()
    cut = [scene[:114, :190] * (1 - 0.003 * i) for i in range(count - 1)] + [scene[:114, 3:193]]
    return [Frame(np.ascontiguousarray(pixels, np.uint8), i / 10) for i, pixels in enumerate(cut)]


def small_released(seed: int = 0, **parts: dict[str, Any]) -> ReleasedPCAN:
    """Return a small network of random weights with distinct scores, masks and embeddings."""
    torch.manual_seed(seed)
    net = ReleasedPCAN(small_released_config(**parts))
    with torch.no_grad():
        _spread(net, blocks(128, 192, seed=99))
        levels = net.features(blocks(128, 192, seed=98))
        grids = torch.cat([unfold(level) for level in levels[:3]])
        _standardise(
            net.proposals.objectness, net.proposals.objectness(net.proposals.layer(levels[0]).relu())
        )
        _standardise(net.box_head.logits, net.box_head(grids)[0], spread=2.0)
        _standardise(net.embedding_head.embed, net.embedding_head(grids), spread=0.5)
        torch.nn.init.normal_(net.refine.head.mask.weight, std=0.5)
    return net.eval()
