"""`pcan-attention`: draw where the prototypes of a track look, frame by frame."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pcan_model.cli.arguments import at_least
from pcan_model.core.config import ConfigError
from pcan_model.data.clips import Clip
from pcan_model.data.registry import open_clip
from pcan_model.model import checkpoint
from pcan_model.model.pcan import PCAN
from pcan_model.visualization.attention_figure import draw
from pcan_model.visualization.attention_recorder import Look, watch

EXPLANATION = """\
Track a video or a folder of pictures, and draw for one track which of its prototypes looks where
(Figure 6 of the paper): the object, foreground and background by colour, and the busiest alone.

  pcan-attention street.mp4 --weights models/pcan_street_tiny/weights.safetensors --out car.png
  pcan-attention drive/ --weights weights.safetensors --track 3 --frames 5 --every 4 --out car.png
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns 0, 1 where a part of the clip is missing, or 2 after an error to mend."""
    options = _parser().parse_args(argv)
    try:
        net = load(options.weights)
        clip = open_clip(options.clip)
        tracks = follow(net, clip, options.until)
        looks = choose(tracks, options.track, options.frames, options.every)
        write(options.out, draw(looks, net.config.instance_attention.foreground, options.prototypes))
    except (ValueError, OSError) as error:
        print(f"pcan-attention: {error}", file=sys.stderr)
        return 2
    name = net.config.classes[looks[0].label]
    print(f"{options.out}: track {looks[0].track_id}, {name}, frames {[look.frame for look in looks]}")
    for problem in clip.problems():
        print(f"pcan-attention: {problem}", file=sys.stderr)
    return 1 if clip.problems() else 0


def load(weights: Path) -> PCAN:
    """Return the network of a checkpoint; ConfigError if it has no instance prototypes."""
    config, _ = checkpoint.load_header(weights)
    part = config.instance_attention
    if not part.enabled or not part.foreground + part.background:
        raise ConfigError(f"{weights}: instance_attention: expected prototypes, got none")
    net = PCAN(config).eval()
    checkpoint.load_weights(weights, net)
    return net


def follow(net: PCAN, clip: Clip, until: int | None) -> dict[int, list[Look]]:
    """Return the looks of every track by its id."""
    tracks: dict[int, list[Look]] = defaultdict(list)
    pictures = (frame.image for frame in islice(clip.frames(), until))
    for seen in tqdm(watch(net, pictures), unit="frame"):
        for look in seen.looks:
            tracks[look.track_id].append(look)
    return dict(tracks)


def choose(tracks: dict[int, list[Look]], track: int | None, frames: int, every: int) -> list[Look]:
    """Return the frames to draw of a track, by default of the one that was seen largest and longest.

    every  frames from one drawn look to the next
    """
    if not tracks:
        raise ConfigError("expected a clip in which something is tracked, got none")
    if track is not None and track not in tracks:
        raise ConfigError(f"--track: expected one of {sorted(tracks)}, got {track}")
    number = max(tracks, key=lambda k: sum(_area(look) for look in tracks[k])) if track is None else track
    looks = tracks[number]
    largest = max(range(len(looks)), key=lambda i: _area(looks[i]))
    first = max(0, min(largest - every * (frames // 2), len(looks) - 1 - every * (frames - 1)))
    return looks[first::every][:frames]


def _area(look: Look) -> float:
    x1, y1, x2, y2 = look.box.tolist()
    return (x2 - x1) * (y2 - y1)


def write(path: Path, picture: NDArray[np.uint8]) -> None:
    """Save an RGB picture, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".part-{path.name}")
    if not cv2.imwrite(str(partial), picture[..., ::-1]):
        raise OSError(f"{path}: expected a name of a picture, such as car.png")
    partial.replace(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "pcan-attention", description=EXPLANATION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("clip", type=Path, help="video, or folder of pictures")
    add("--weights", type=Path, required=True, help="checkpoint (.safetensors) with instance prototypes")
    add("--track", type=int, metavar="ID", help="which track (default: seen largest and longest)")
    add("--frames", type=at_least(1), default=5, help="frames to draw (default: 5)")
    add("--every", type=at_least(1), default=2, help="frames from one to the next (default: 2)")
    add("--until", type=at_least(1), metavar="N", help="only the first N pictures of the clip")
    add("--prototypes", type=at_least(0), default=3, help="rows of single prototypes per side (default: 3)")
    add("--out", type=Path, default=Path("attention.png"), help="picture to write")
    return parser


if __name__ == "__main__":
    sys.exit(main())
