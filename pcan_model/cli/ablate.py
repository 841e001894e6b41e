"""`pcan-ablate`: train and count every row of a table of the paper, with several seeds."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from pcan_model.cli.arguments import at_least
from pcan_model.core.config import ConfigError, load_config
from pcan_model.core.errors import DataError
from pcan_model.experiments.counting import run, together
from pcan_model.experiments.report import plot, to_markdown
from pcan_model.experiments.runs import Result, Run, Study, fingerprint, read_results, runs, write_results
from pcan_model.experiments.tables import TABLES, Table
from pcan_model.model.checkpoint import CheckpointError
from pcan_model.training.trainer import NonFiniteLoss

EXPLANATION = """\
Train and count every row of Tables 3 to 10 of the paper on synthetic drives: trained on some
seeds of the world, counted on others. Rows that differ in nothing that training sees (such as the
length of the memory) share a training. Run it again to go on where it stopped.

  pcan-ablate 7 --dry-run
  pcan-ablate 3 6 7 --seeds 0 1 2 --iterations 5400
  pcan-ablate 6 7 3 --weights models/pcan_street_tiny/weights.safetensors --iterations 300

With --weights all rows start from one detector. Its backbone and pyramid stay as they are; the row's
modules are drawn anew and trained in two halves of --iterations steps: the frame attention with all
heads, then the instance module, of all rows of a seed side by side on the same regions.

Writes results.jsonl, table<N>.md and table<N>.png to --docs; trainings and drives to --out.
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns 0, or 2 after an error that the user can mend."""
    options = _parser().parse_args(argv)
    try:
        study = _study(options)
        tables = [TABLES[number] for number in options.tables]
        results = read_results(options.docs / "results.jsonl")
        wanted = [one for one in runs(tables, options.seeds) if one.variation.name not in options.skip]
        waiting = [one for one in wanted if not _find(one, study, results)]
        if options.dry_run:
            print("\n".join([one.title() for one in waiting] or ["nothing is left to do"]))
            return 0
        with tqdm(total=len(waiting), unit="run") as bar:
            for group in together(waiting, study):
                bar.set_postfix_str(group[0].title())
                results += run(group, study)
                write_results(options.docs / "results.jsonl", results)
                bar.update(len(group))
        for table in tables:
            own = [r for one in runs([table], options.seeds) if (r := _find(one, study, results))]
            _report(table, own, options.docs)
    except (ConfigError, CheckpointError, DataError, ImportError, OSError, NonFiniteLoss) as error:
        print(f"pcan-ablate: {error}", file=sys.stderr)
        return 2
    return 0


def _study(options: argparse.Namespace) -> Study:
    base = load_config(options.config)
    if options.iterations == 0 and not options.weights:
        raise ConfigError("--iterations 0: expected --weights to count with, got none")
    if options.iterations is not None:
        base = replace(base, train=replace(base.train, iterations=options.iterations))
    sizes = options.drives, options.held_out, options.length
    return Study(base, *sizes, options.out, options.backbone, options.workers, options.weights)


def _find(one: Run, study: Study, results: list[Result]) -> Result | None:
    """Return what is known of a run of this very study."""
    mark = fingerprint(one.variation.apply(study.base), study)
    key = (one.table, one.variation.name, one.seed, mark)
    return next((r for r in results if (r.table, r.variation, r.seed, r.study) == key), None)


def _report(table: Table, results: list[Result], folder: Path) -> None:
    rows = to_markdown(table, results)
    (folder / f"table{table.number}.md").write_text(f"# Table {table.number}: {table.title}\n\n{rows}\n")
    plot(table, results, folder / f"table{table.number}.png")
    print(f"Table {table.number}: {table.title}\n{rows}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "pcan-ablate", description=EXPLANATION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("tables", nargs="+", type=int, choices=sorted(TABLES), metavar="TABLE", help="3 to 10")
    add("--config", default="pcan_street_tiny", help="what is varied: preset or YAML file")
    add("--seeds", nargs="+", type=at_least(0), default=[0, 1, 2], metavar="SEED", help="of the trainings")
    add("--skip", nargs="+", default=[], metavar="ROW", help="rows that are left out, by their names")
    add(
        "--iterations",
        type=at_least(0),
        help="steps of each training (default: the configuration's); 0: count with --weights as they are",
    )
    add("--drives", type=at_least(1), default=120, help="drives to train on (default: 120)")
    add("--held-out", type=at_least(1), default=12, help="drives to count (default: 12)")
    add("--length", type=at_least(1), default=12, help="frames of each drive (default: 12)")
    add("--out", type=Path, default=Path("runs/ablations"), help="folder for trainings and drives")
    add("--docs", type=Path, default=Path("docs/ablations"), help="folder for results, tables and plots")
    add("--backbone", type=Path, help="ImageNet weights, as in pcan-train")
    add("--weights", type=Path, help="a trained detector that all rows start from, their modules drawn anew")
    add("--workers", type=at_least(0), default=1, help="processes that load data")
    add("--dry-run", action="store_true", help="only list what is left to do")
    return parser


if __name__ == "__main__":
    sys.exit(main())
