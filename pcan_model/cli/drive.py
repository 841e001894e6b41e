"""`pcan-drive`: render synthetic drives to disk, in the layout that training reads."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from pcan_model.cli.arguments import at_least
from pcan_model.synthetic.drive import write_drives


def main(argv: list[str] | None = None) -> int:
    """Run `pcan-drive`; drives that are there already are kept, so a second run goes on."""
    p = argparse.ArgumentParser(
        prog="pcan-drive",
        description="Render synthetic drives with exact masks and ids to OUT/images and OUT/labels "
        "(BDD100K seg_track layout).",
        epilog="Example: pcan-drive --out data/drives --count 300; then pcan-train … --data data/drives",
    )
    p.add_argument("--out", type=Path, required=True, help="folder to write")
    p.add_argument("--first", type=at_least(0), default=0, help="seed of the first drive (default: 0)")
    p.add_argument("--count", type=at_least(1), default=300, help="number of drives (default: 300)")
    p.add_argument("--length", type=at_least(1), default=12, help="frames of each (default: 12)")
    args = p.parse_args(argv)
    try:
        for seed in tqdm(range(args.first, args.first + args.count), unit="drive"):
            write_drives(args.out, range(seed, seed + 1), length=args.length)
    except OSError as error:
        print(f"pcan-drive: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
