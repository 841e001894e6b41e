"""Profile the frame pass in torch on one thread: time share of each part.

    python benchmarks/profile_forward.py pcan_r50_bdd100k --size 384 640

Weights are random: shares of the time do not depend on them, since all shapes are static.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from pcan_model.core.config import load_config
from pcan_model.inference.torch_engine import empty_memory
from pcan_model.model.pass_signature import static
from pcan_model.model.pcan import PCAN

PARTS = {  # where the time of a part is taken: attribute path below the pass
    "backbone and pyramid": "net.features",
    "frame attention": "_remember",
    "proposal head": "net.proposals.forward",
    "proposals chosen": "net.proposals.propose",
    "regions pooled": "_pool",
    "box head": "net.box_head.forward",
    "embedding head": "net.embedding_head.forward",
    "mask head": "net.mask_head.forward",
}


def named(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Wrap a function in a named profiler range."""

    def booked(*args: Any, **kwargs: Any) -> Any:
        with record_function(name):
            return function(*args, **kwargs)

    return booked


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="preset or YAML file")
    parser.add_argument("--size", type=int, nargs=2, help="height and width (default: the configuration's)")
    options = parser.parse_args()
    config = load_config(options.config)
    if options.size:
        height, width = options.size
        config = replace(config, input=replace(config.input, height=height, width=width))
    torch.manual_seed(0)
    torch.set_num_threads(1)
    signature = static(PCAN(config))
    frame, (*memory, valid) = signature.frame, empty_memory(signature).frames
    for name, path in PARTS.items():
        *owners, last = path.split(".")
        owner: Any = frame
        for part in owners:
            owner = getattr(owner, part)
        setattr(owner, last, named(getattr(owner, last), name))
    image = torch.randint(0, 255, (1, config.input.height, config.input.width, 3), dtype=torch.uint8)
    inputs = image, *memory, torch.ones_like(valid)
    with torch.inference_mode():
        frame(*inputs)
        with profile(activities=[ProfilerActivity.CPU]) as taken:
            frame(*inputs)
    events = taken.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    for event in sorted(events, key=lambda e: -e.cpu_time_total):
        if event.key in PARTS:
            print(f"{event.key:22} {100 * event.cpu_time_total / total:5.1f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
