"""`pcan-drive`: render synthetic drives to disk, in the layout that training reads."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from pcan_model.cli.arguments import add_options, command_parser, read_options
from pcan_model.cli.run import run
from pcan_model.core.fields import about, setting
from pcan_model.synthetic.drive import RATE, write_drives

EXPLANATION = """\
Render synthetic drives with exact masks and ids to OUT/images and OUT/labels (BDD100K seg_track
layout). Existing drives are kept, so that an interrupted run can be resumed. With --geometry also write
camera, poses, 3D boxes and velocities, and what a depth camera and a lidar with 64 beams measure; `pcan-bag
make` then adds transforms, odometry, depth and points to its bags.

  pcan-drive --out data/drives --count 300
  pcan-drive --out data/turning --count 4 --length 50 --geometry --swing 0.3
  pcan-train pcan_street_tiny --data data/drives
"""


@dataclass(frozen=True, slots=True)
class DriveOptions:
    """The drives to render."""

    out: Path = field(metadata=about("folder to write", writes=True))
    first: int = setting(0, "seed of the first drive", low=0)
    count: int = setting(300, "number of drives", low=1)
    length: int = setting(12, "frames per drive", low=1)
    rate: float = setting(
        RATE,
        "rate of the frames; read others than the default with --clip-rate",
        unit="Hz",
        low=0.1,
        high=1000.0,
    )
    swing: float = setting(
        0.0,
        "greatest yaw rate of a camera that turns left and right; 0: as seen in training",
        unit="radians per second",
        low=0.0,
        high=3.0,
    )
    geometry: bool = setting(False, "also write OUT/geometry, OUT/depth and OUT/velodyne")
    noise: float = setting(
        1.0, "noise of depth camera and lidar; 1: as real ones, 0: exact", low=0.0, high=10.0
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-drive`; returns the exit code."""
    return run("pcan-drive", _render, arguments)


def _render(arguments: Sequence[str]) -> None:
    options = read_options(DriveOptions, _parser().parse_args(arguments))
    for seed in tqdm(range(options.first, options.first + options.count), unit="drive"):
        write_drives(
            options.out,
            range(seed, seed + 1),
            length=options.length,
            rate=options.rate,
            swing=options.swing,
            geometry=options.geometry,
            noise=options.noise,
        )


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("pcan-drive", EXPLANATION)
    add_options(parser, DriveOptions)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
