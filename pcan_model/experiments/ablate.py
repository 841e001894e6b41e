"""Runs the rows of tables in groups, resuming where the last run stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.config import ConfigError, load_config
from pcan_model.experiments.counting import grouped, run
from pcan_model.experiments.options import AblateOptions
from pcan_model.experiments.report import plot, to_markdown
from pcan_model.experiments.runs import (
    RowResult,
    Study,
    StudyRun,
    fingerprint,
    read_results,
    runs,
    write_results,
)
from pcan_model.experiments.tables import TABLES, Table


def ablate(options: AblateOptions) -> Iterator[str]:
    """Run missing rows and write results, tables and plots; yields each table as text.

    With `dry_run` only the titles of the missing rows are yielded.
    """
    study = study_of(options)
    tables, seeds = [TABLES[number] for number in options.tables], list(options.seeds)
    results = read_results(options.docs / "results.jsonl")
    selected = [one for one in runs(tables, seeds) if one.variation.name not in options.skip]
    missing = [one for one in selected if not _find(one, study, results)]
    if options.dry_run:
        yield from [one.title() for one in missing] or ["nothing is left to do"]
        return
    with tqdm(total=len(missing), unit="run") as bar:
        for group in grouped(missing, study):
            bar.set_postfix_str(group[0].title())
            results += run(group, study)
            write_results(options.docs / "results.jsonl", results)
            bar.update(len(group))
    for table in tables:
        own = [r for one in runs([table], seeds) if (r := _find(one, study, results))]
        yield _report(table, own, options.docs)


def study_of(options: AblateOptions) -> Study:
    """Return the common settings of all rows; raises ConfigError for contradictory options."""
    base = load_config(options.config)
    if options.iterations == 0 and not options.weights:
        raise ConfigError("--iterations 0: expected --weights to evaluate, got none")
    if options.iterations is not None:
        base = replace(base, train=replace(base.train, iterations=options.iterations))
    sizes = options.drives, options.held_out, options.length
    return Study(base, *sizes, options.out, options.backbone, options.workers, options.weights)


def _find(one: StudyRun, study: Study, results: list[RowResult]) -> RowResult | None:
    """Return the result of a run with the settings of this study, if there is one."""
    mark = fingerprint(one.variation.apply(study.base), study)
    key = (one.table, one.variation.name, one.seed, mark)
    return next((r for r in results if (r.table, r.variation, r.seed, r.study) == key), None)


def _report(table: Table, results: list[RowResult], folder: Path) -> str:
    """Write a table and its plot; returns the text."""
    rows = to_markdown(table, results)
    title = f"Table {table.number}: {table.title}"
    write_bytes(folder / f"table{table.number}.md", f"# {title}\n\n{rows}\n".encode())
    plot(table, results, folder / f"table{table.number}.png")
    return f"{title}\n{rows}"
