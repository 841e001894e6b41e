"""`python -m pcan_model.cli.parity_dump`: dump the released variant's intermediate results per frame."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from pcan_model.cli.arguments import command_parser
from pcan_model.cli.run import run

PROGRAM = "python -m pcan_model.cli.parity_dump"
EXPLANATION = """\
Run the released variant on images and write one .npz per frame with every quantity of the recorded
runs under its name there, to compare an implementation step by step (docs/released.md).

  python -m pcan_model.cli.parity_dump --weights weights.safetensors --out ours clip/*.png \\
      --set input.height=288 input.width=512 tracker.init_score=0.6 released.drift=true
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    return run("parity_dump", _dump, arguments)


def _dump(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    from pcan_model.released.parity.dump import dump  # imported late: --help does not need torch

    files = dump(options.images, options.weights, options.out, settings=options.set, double=options.double)
    for _ in tqdm(files, unit="frame"):
        pass


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(PROGRAM, EXPLANATION)
    add = parser.add_argument
    add("images", nargs="+", type=Path, help="images of one clip in order, or one .npy of them (BGR)")
    add("--weights", type=Path, required=True, help="checkpoint of pcan-convert")
    add("--out", type=Path, required=True, help="folder for frame0.npz, frame1.npz, …")
    add(
        "--double",
        action="store_true",
        help="compute in float64, without rounding errors of our own",
    )
    add("--set", nargs="*", default=[], metavar="PART.KEY=VALUE", help="changes to the configuration")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
