"""`pcan-drive`: render synthetic drives to disk, in the layout that training reads."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from pcan_model.cli.arguments import at_least, command_parser
from pcan_model.cli.run import run
from pcan_model.synthetic.drive import write_drives

EXPLANATION = """\
Render synthetic drives with exact masks and ids to OUT/images and OUT/labels (BDD100K seg_track
layout). Drives that are there already are kept, so that a second run goes on.

  pcan-drive --out data/drives --count 300
  pcan-train pcan_street_tiny --data data/drives
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-drive`; returns the exit code."""
    return run("pcan-drive", _render, arguments)


def _render(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    for seed in tqdm(range(options.first, options.first + options.count), unit="drive"):
        write_drives(options.out, range(seed, seed + 1), length=options.length)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("pcan-drive", EXPLANATION)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder to write")
    add("--first", type=at_least(0), default=0, help="seed of the first drive (default: %(default)s)")
    add("--count", type=at_least(1), default=300, help="number of drives (default: %(default)s)")
    add("--length", type=at_least(1), default=12, help="frames of each (default: %(default)s)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
