"""`pcan-finetune`: train a model further on your labels, and export it if it became better."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pcan_model.cli.arguments import add_options, command_parser, read_options
from pcan_model.cli.run import report_problems, run
from pcan_model.finetune.options import FinetuneOptions

EXPLANATION = """\
Train a model further on your labels, in any format that pcan-data reads (CVAT, COCO, Scalabel, …), and
measure it before and after on a part of them that is not trained on.

  pcan-finetune my_labels --out runs/mine
  pcan-finetune my_labels --from street --classes car pedestrian van=truck --out runs/vans
  pcan-finetune drives/monday drives/tuesday --test drives/friday --out runs/week

Writes OUT/report.md, OUT/report.json and the model folder OUT/model, which the node and all commands take.
A model that is worse than before on the held-out frames is not exported: if HOTA or sMOTSA of all classes
together falls, or a class loses more than a tenth of its objects. The command then exits with code 1, unless
--force is given.

Frames of one video resemble each other. With several videos whole ones are held out, of a single one the
end; measure on another drive (--test) to know how the model does elsewhere.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-finetune`; returns the exit code, 1 if the new model is worse and was not exported."""
    line = list(sys.argv[1:] if arguments is None else arguments)
    return run("pcan-finetune", _finetune, line)


def _finetune(line: Sequence[str]) -> int:
    options = read_options(FinetuneOptions, _parser().parse_args(line))
    from pcan_model.finetune.run import MODEL, REPORT, finetune  # imported late: --help does not need torch

    done = finetune(options, line)
    print(done.markdown())
    print(f"written: {options.out / REPORT}")
    if done.worse is None or options.force:
        print(f"exported: {options.out / MODEL}")
        return 0
    return report_problems("pcan-finetune", [f"not exported, since it is worse: {done.worse}"])


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("pcan-finetune", EXPLANATION)
    metavars: dict[str, str | tuple[str, ...]] = {
        "labels": "PATH[@FORMAT][@SPLIT][#VIDEO,…][:WEIGHT]",
        "classes": "NAME[=OLD]",
        "hold_out": "VIDEO[:FRAME]",
        "test": "PATH",
        "crop": ("HEIGHT", "WIDTH"),
        "from_": "MODEL",
    }
    add_options(parser, FinetuneOptions, positional=("labels",), metavars=metavars)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
