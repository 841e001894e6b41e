"""Compare one-stage PCAN with two-stage PCAN and with SipMask: `python benchmarks/one_stage.py`.

All networks have random weights, the same size of input and the same number of detections, all of which are
tracked. Frames of all of them are taken in turn in one process and one thread; times are CPU seconds of the
process, so that other work on the machine does not disturb them. FLOPs are counted by
torch.utils.flop_counter, two per multiplication with its addition, with regions and alignment by sampling.
What a GPU would need: `benchmarks/roofline.py` on an export.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from pcan_model.core.config import Config, load_config
from pcan_model.core.structures import Frame
from pcan_model.factory import make_engine, make_net
from pcan_model.inference.torch_engine import empty_memory
from pcan_model.model.pass_signature import grid_sample
from pcan_model.model.pcan import PCAN
from pcan_model.synthetic.drive import SyntheticDrive
from pcan_model.tracking.tracker import Tracker

LARGE = (
    "pcan_r50_bdd100k",
    "sipmask_r50_youtube_vis",
    "sipmask_frame_r50_youtube_vis",
    "sipmask_instance_r50_youtube_vis",
    "pcan_r50_youtube_vis",
    "pcan_r101_youtube_vis",
)
SMALL = ("pcan_street_tiny", "pcan_street", "pcan_street_sipmask")
WARM = 1  # frames of each network that are not counted


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a frame for one network."""

    name: str
    flops: int
    parameters: int
    seconds: float  # median, CPU


def prepared(name: str, size: tuple[int, int], detections: int) -> Config:
    """Return a preset with a given input size that tracks every detection."""
    config = load_config(name)
    return replace(
        config,
        input=replace(config.input, height=size[0], width=size[1]),
        heads=replace(config.heads, detections=detections, score_threshold=0.0),
        tracker=replace(config.tracker, init_score=0.0, track_score=0.0),
    )


def count(net: PCAN) -> int:
    """Return the FLOPs of both passes of a frame."""
    signature, config = grid_sample(net), net.config
    memory, rows, tracks = empty_memory(signature), config.heads.detections, config.tracker.capacity
    image = torch.zeros(1, config.input.height, config.input.width, 3, dtype=torch.uint8)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        out = dict(zip(signature.outputs["frame"], signature.frame(image, *memory.frames), strict=True))
        slots = torch.zeros(rows, dtype=torch.long), torch.zeros(rows)
        owners = torch.zeros(tracks, dtype=torch.long), torch.ones(tracks)
        signature.instance(*(out[name] for name in signature.features), *memory.bank, *slots, *owners)
    return int(counter.get_total_flops())


def measure(names: Sequence[str], size: tuple[int, int], detections: int, frames: int) -> Iterator[Cost]:
    """Run all networks in turn."""
    torch.manual_seed(0)
    nets = [make_net(prepared(name, size, detections)).eval() for name in names]
    trackers = [Tracker(make_engine(net)) for net in nets]
    states = [tracker.start() for tracker in trackers]
    clip, times = SyntheticDrive(0, WARM + frames, *size), [[] for _ in names]  # type: ignore[var-annotated]
    for number, frame in enumerate(clip.frames()):
        for k, tracker in enumerate(trackers):
            begin = time.process_time()
            states[k], _ = tracker.step(states[k], Frame(np.ascontiguousarray(frame.image), number / 10))
            times[k].append(time.process_time() - begin)
    for name, net, own in zip(names, nets, times, strict=True):
        assert isinstance(net, PCAN)
        parameters = sum(parameter.numel() for parameter in net.parameters())
        yield Cost(name, count(net), parameters, statistics.median(own[WARM:]))


def table(costs: Sequence[Cost]) -> str:
    """Return the table of docs/sipmask.md."""
    lines = ["| network | parameters, M | GFLOPs | CPU ms |", "|---" * 4 + "|"]
    for cost in costs:
        cells = f"{cost.parameters / 1e6:.1f}", f"{cost.flops / 1e9:.1f}", f"{1e3 * cost.seconds:.0f}"
        lines.append(f"| `{cost.name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("presets", nargs="*", help="(default: the large ones)")
    parser.add_argument("--small", action="store_true", help="the small ones instead")
    parser.add_argument("--size", type=int, nargs=2, default=(384, 640), help="height and width")
    parser.add_argument("--detections", type=int, default=10, help="of a frame (default: 10)")
    parser.add_argument("--frames", type=int, default=3, help="counted, of each network (default: 3)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = options.presets or (SMALL if options.small else LARGE)
    height, width = options.size
    print(table(list(measure(names, (height, width), options.detections, options.frames))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
