"""Temporal consistency of prototype assignments (Figure 6), measured along optical flow.

    python benchmarks/consistency.py DRIVE --weights models/pcan_street_tiny/weights.safetensors

For each track seen in two frames in a row: every cell of the object is assigned to the foreground
prototype that attends to it most; its centre is carried to the next frame by DIS flow; counted is
how often the same prototype owns the cell it lands on. Beside it the share that two independent
assignments with the same frequencies would agree on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pcan_model.data.registry import open_clip
from pcan_model.factory import make_net
from pcan_model.model import checkpoint
from pcan_model.model.pcan import PCAN
from pcan_model.visualization.attention_maps import load
from pcan_model.visualization.attention_recorder import AttentionView, RecordedFrame, record_attention


def agreement(
    before: AttentionView, after: AttentionView, flow: NDArray[np.float32], foreground: int
) -> tuple[int, int, float]:
    """Return the numbers of tracked cells, of those that kept their prototype, and of those by chance."""
    owner, inside, centres = _assigned(before, foreground)
    next_owner, next_inside, _ = _assigned(after, foreground)
    x, y = centres[inside].T
    rows = np.clip(y.astype(int), 0, flow.shape[0] - 1), np.clip(x.astype(int), 0, flow.shape[1] - 1)
    moved = np.stack([x, y], 1) + flow[rows]
    x1, y1, x2, y2 = after.box
    cell = np.floor((moved - [x1, y1]) / [(x2 - x1), (y2 - y1)] * next_owner.shape[::-1]).astype(int)
    known = ((cell >= 0) & (cell < next_owner.shape[::-1])).all(1)
    column, row = cell[known].T
    there = next_inside[row, column]
    was, now = owner[inside][known][there], next_owner[row, column][there]
    shares = [np.bincount(own, minlength=foreground) / max(len(own), 1) for own in (was, now)]
    return len(was), int((was == now).sum()), float(len(was) * (shares[0] * shares[1]).sum())


def _assigned(
    look: AttentionView, foreground: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float64]]:
    """Return each cell's foreground prototype, whether it is on the object, and its centre in pixels."""
    maps = look.maps[:foreground]
    rows, columns = maps.shape[1:]
    inside = cv2.resize(look.mask, (columns, rows), interpolation=cv2.INTER_AREA) > 0.5
    x1, y1, x2, y2 = look.box
    xs, ys = (np.arange(columns) + 0.5) / columns * (x2 - x1) + x1, (np.arange(rows) + 0.5) / rows
    grid = np.stack(np.meshgrid(xs, ys * (y2 - y1) + y1), -1)
    return maps.argmax(0), inside, grid.astype(np.float64)


def count(clip: Sequence[RecordedFrame], foreground: int) -> tuple[int, int, float]:
    """Return the same numbers over a clip."""
    flows, totals = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM), np.zeros(3)
    for one, other in pairwise(clip):
        grey = [cv2.cvtColor(seen.image, cv2.COLOR_RGB2GRAY) for seen in (one, other)]
        flow = flows.calc(grey[0], grey[1], None)
        later = {look.track_id: look for look in other.views}
        for look in one.views:
            if look.track_id in later:
                totals += agreement(look, later[look.track_id], flow, foreground)
    return int(totals[0]), int(totals[1]), float(totals[2])


def varied(weights: Path, propagation: str) -> PCAN:
    """Load the network of a checkpoint with another propagation of the instance prototypes."""
    config = load(weights, make_net).config
    part = replace(config.instance_attention, propagation=propagation)
    net: PCAN = make_net(replace(config, instance_attention=part)).eval()
    checkpoint.load_weights(weights, net)
    return net


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path, help="video or folder of images")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--until", type=int, help="only the first images")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for propagation in ("momentum", "none"):
        net = varied(options.weights, propagation)
        images = (frame.image for frame in islice(open_clip(options.clip).frames(), options.until))
        clip = list(record_attention(net, images))
        followed, kept, chance = count(clip, net.config.instance_attention.foreground)
        share = [f"{100 * part / max(followed, 1):.1f} %" for part in (kept, chance)]
        print(f"propagation {propagation}: {followed} cells followed, {share[0]} kept, {share[1]} by chance")
    return 0


if __name__ == "__main__":
    sys.exit(main())
