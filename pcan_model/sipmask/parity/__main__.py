"""`python -m pcan_model.sipmask.parity FOLDER`: our numbers beside the recorded ones."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pcan_model.sipmask.parity.files import compare_place
from pcan_model.sipmask.parity.recording import Recording

EXPLANATION = """\
Compute what the public SipMask-VIS code was recorded to compute, with weights generated from the tensors'
names, and print each quantity with its tolerance and the largest difference. Tolerances are absolute, but
relative for losses and gradients; `equal` allows none.

  python -m pcan_model.sipmask.parity ../shared/parity/sipmask             all files
  python -m pcan_model.sipmask.parity ../shared/parity/sipmask/e2e/clipA   one clip
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, 1 where a quantity disagrees, or 2 where nothing can be compared."""
    options = _parser().parse_args(arguments)
    counts, wrong = 0, 0
    try:
        for recording in compare_place(options.place, scale=options.scale and tuple(options.scale)):
            counts += len(recording.comparisons)
            wrong += report(recording, quiet=options.quiet)
    except (OSError, ValueError, KeyError) as error:
        print(f"parity: {options.place}: {error}", file=sys.stderr)
        return 2
    if not counts:
        print(f"parity: {options.place}: expected recorded .npz files, got none", file=sys.stderr)
        return 2
    print(f"{counts} quantities, {wrong} disagree")
    return int(wrong > 0)


def report(recording: Recording, *, quiet: bool) -> int:
    """Print a file's comparisons; returns how many disagree or were left out."""
    shown = [c for c in recording.comparisons if not (quiet and c.agrees)]
    wrong = sum(not c.agrees for c in recording.comparisons) + len(recording.untouched)
    print(f"{recording.path}: {len(recording.comparisons)} quantities, {wrong} disagree")
    for comparison in shown:
        print(f"  {comparison}")
    for name in sorted(recording.untouched):
        print(f"  {name:36} recorded, but nothing compares it  DISAGREES")
    return wrong


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m pcan_model.sipmask.parity",
        description=EXPLANATION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("place", type=Path, help="a recorded file, a clip's folder, or a folder above such")
    add("--scale", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="size that images are resized within")
    add("--quiet", action="store_true", help="print only what disagrees")
    return parser


if __name__ == "__main__":
    sys.exit(main())
