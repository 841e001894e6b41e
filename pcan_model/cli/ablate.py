"""`pcan-ablate`: train and evaluate every row of the paper's ablation tables, with several seeds."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pcan_model.cli.arguments import add_options, command_parser, read_options
from pcan_model.cli.run import run
from pcan_model.experiments.options import AblateOptions

EXPLANATION = """\
Train and evaluate every row of Tables 3 to 10 of the paper (and of 11 and 12, Tables 3 and 6 trained on
clips as long as the tube) on synthetic drives, with different seeds for training and evaluation. Rows
that differ only in what training does not use (such as the length of the memory) share a training. Run
it again to resume.

  pcan-ablate 7 --dry-run
  pcan-ablate 3 6 7 --seeds 0 1 2 --iterations 5400
  pcan-ablate 3 11 --config pcan_street_sipmask --seeds 0 1 2 --iterations 3000
  pcan-ablate 6 7 3 --weights models/pcan_street_tiny/weights.safetensors --iterations 300

With --weights all rows start from one detector with frozen backbone and pyramid. The modules of a row
are initialised at random and trained in two stages of --iterations steps: the frame attention with all
heads, then the instance attention, for all rows of a seed side by side on the same proposals.

Writes results.jsonl, table<N>.md and table<N>.png to --docs; trainings and drives to --out.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-ablate`; returns the exit code."""
    return run("pcan-ablate", _ablate, arguments)


def _ablate(arguments: Sequence[str]) -> None:
    options = read_options(AblateOptions, _parser().parse_args(arguments))
    from pcan_model.experiments.ablate import ablate  # imported late: --help does not need torch

    for text in ablate(options):
        print(text)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("pcan-ablate", EXPLANATION)
    metavars = {"tables": "TABLE", "seeds": "SEED", "skip": "ROW"}
    add_options(parser, AblateOptions, positional=("tables",), metavars=metavars)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
