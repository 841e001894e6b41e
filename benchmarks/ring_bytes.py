"""Compute the device memory of the frame memory: double-buffered, or as a ring buffer.

    python benchmarks/ring_bytes.py

Counts, per camera, from the shapes alone. The frame graph puts the new frame first and drops the oldest,
so a pass reads T - 1 frames and the new one and writes T. A ring would be copied into, frame by frame.
"""

from __future__ import annotations

import argparse
import sys
from math import prod
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pcan_model.core.config import Config, load_config
from pcan_model.model.frame_attention.factory import memory_shapes

PRESETS = ("pcan_street_tiny", "pcan_r50_bdd100k", "pcan_r50_kitti_mots")
ORIN = 204.8e9  # bytes per second, AGX Orin's memory by its data sheet
FLOAT = 4  # bytes


def memory_bytes(config: Config) -> tuple[int, int]:
    """Return the size of the whole frame memory, and of one frame in it."""
    whole = sum(prod(shape) for shape in memory_shapes(config)) * FLOAT
    return whole, whole // config.frame_attention.memory_frames


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args()
    print(f"{'':20} {'memory':>9} {'taking turns':>24} {'ring':>24}")
    for name in PRESETS:
        whole, frame = memory_bytes(load_config(name))
        turns, ring = 2 * whole, 2 * frame  # read and written
        print(
            f"{name:20} {whole / 1e6:6.2f} MB {turns / 1e6:7.2f} MB {turns / ORIN * 1e6:8.1f} us "
            f"{ring / 1e6:10.2f} MB {ring / ORIN * 1e6:8.1f} us"
        )


if __name__ == "__main__":
    main()
