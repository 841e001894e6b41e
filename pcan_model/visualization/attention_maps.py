"""Attention maps of a track's prototypes over time, from a tracked clip (Figure 6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.config import Config, ConfigError
from pcan_model.data.clips import Clip
from pcan_model.data.registry import open_clip
from pcan_model.model import checkpoint
from pcan_model.model.pcan import PCAN
from pcan_model.visualization.attention_figure import draw
from pcan_model.visualization.attention_options import AttentionOptions
from pcan_model.visualization.attention_recorder import AttentionView, record_attention

MakeNet = Callable[[Config], Any]


def draw_attention(options: AttentionOptions, make_net: MakeNet) -> tuple[str, tuple[str, ...]]:
    """Track the clip and write the figure; returns a description of it, and problems of the clip.

    make_net  makes the network of a configuration
    """
    net = load(options.weights, make_net)
    clip = open_clip(options.clip)
    tracks = views_by_track(net, clip, options.until)
    views = choose(tracks, options.track, options.frames, options.every)
    write(options.out, draw(views, net.config.instance_attention.foreground, options.prototypes))
    name = net.config.classes[views[0].label]
    description = f"track {views[0].track_id}, {name}, frames {[view.frame for view in views]}"
    return description, tuple(clip.problems())


def load(weights: Path, make_net: MakeNet) -> PCAN:
    """Load the network of a checkpoint; raises ConfigError if it has no instance prototypes."""
    config, _ = checkpoint.load_header(weights)
    part = config.instance_attention
    if not part.enabled or not part.foreground + part.background:
        raise ConfigError(f"{weights}: instance_attention: expected prototypes, got none")
    net: PCAN = make_net(config).eval()
    checkpoint.load_weights(weights, net)
    return net


def views_by_track(net: PCAN, clip: Clip, until: int | None) -> dict[int, list[AttentionView]]:
    """Return the views of every track by its id."""
    tracks: dict[int, list[AttentionView]] = defaultdict(list)
    images = (frame.image for frame in islice(clip.frames(), until))
    for frame in tqdm(record_attention(net, images), unit="frame"):
        for view in frame.views:
            tracks[view.track_id].append(view)
    return dict(tracks)


def choose(
    tracks: dict[int, list[AttentionView]], track: int | None, frames: int, every: int
) -> list[AttentionView]:
    """Select the views to draw of a track, by default of that with the largest total area.

    every  interval of the selected views in frames
    """
    if not tracks:
        raise ConfigError("expected a clip with tracked objects, got none")
    if track is not None and track not in tracks:
        raise ConfigError(f"--track: expected one of {sorted(tracks)}, got {track}")
    number = max(tracks, key=lambda k: sum(_area(view) for view in tracks[k])) if track is None else track
    views = tracks[number]
    largest = max(range(len(views)), key=lambda i: _area(views[i]))
    first = max(0, min(largest - every * (frames // 2), len(views) - 1 - every * (frames - 1)))
    return views[first::every][:frames]


def _area(view: AttentionView) -> float:
    x1, y1, x2, y2 = view.box.tolist()
    return (x2 - x1) * (y2 - y1)


def write(path: Path, image: NDArray[np.uint8]) -> None:
    """Save an RGB image."""
    try:
        done, data = cv2.imencode(path.suffix, image[..., ::-1])
    except cv2.error:
        done = False
    if not done:
        raise OSError(f"{path}: expected the name of an image file, such as car.png")
    write_bytes(path, data.tobytes())
