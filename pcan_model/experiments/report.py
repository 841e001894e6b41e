"""Results of an ablation as table and plot: mean and deviation over the seeds, and the paper's results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

from pcan_model.experiments.runs import RowResult
from pcan_model.experiments.tables import Table

FIGURES = {"ap": "AP", "smotsa": "sMOTSA", "motsp": "MOTSP", "idf1": "IDF1", "hota": "HOTA"}


def spread(values: Sequence[float | None]) -> tuple[float, float | None] | None:
    """Return mean and standard deviation of the known values; None without values, or with only one."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return mean(known), stdev(known) if len(known) > 1 else None


def to_markdown(table: Table, results: Sequence[RowResult]) -> str:
    """Return a table's rows: mean ± standard deviation over the seeds, in per cent.

    The last column is the difference in sMOTSA to the first row at the same seed.
    """
    lines = [
        f"| | paper | seeds | {' | '.join(FIGURES.values())} | ID switches | sMOTSA over the first row |"
    ]
    lines.append("|" + "---|" * (5 + len(FIGURES)))
    rows = {v.name: _of(table, v.name, results) for v in table.variations}
    first = {r.seed: r.smotsa for r in next(iter(rows.values()))}
    for variation in table.variations:
        own = rows[variation.name]
        cells = [_cell([getattr(r, name) for r in own], 100) for name in FIGURES]
        switches = _cell([float(r.id_switches) for r in own], 1)
        paper = "-" if variation.paper is None else f"{variation.paper}"
        gain = _cell([_less(r.smotsa, first.get(r.seed)) for r in own], 100, form="+.2f")
        lines.append("| " + " | ".join([variation.name, paper, str(len(own)), *cells, switches, gain]) + " |")
    return "\n".join(lines)


def _of(table: Table, name: str, results: Sequence[RowResult]) -> list[RowResult]:
    """Return a row's results, by seed."""
    return sorted(
        (r for r in results if (r.table, r.variation) == (table.number, name)), key=lambda r: r.seed
    )


def _less(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _cell(values: Sequence[float | None], scale: float, form: str = ".1f") -> str:
    found = spread(values)
    if found is None:
        return "-"
    middle, deviation = found
    return f"{scale * middle:{form}}" + (
        "" if deviation is None else f" ± {scale * deviation:{form.lstrip('+')}}"
    )


def plot(table: Table, results: Sequence[RowResult], path: Path) -> None:
    """Plot sMOTSA of each row with a line per seed, and the paper's results on a second axis."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    shown = [v for v in table.variations if _of(table, v.name, results)] or list(table.variations)
    figure, axis = pyplot.subplots(figsize=(7, 3.2), layout="constrained")
    own = [_of(table, v.name, results) for v in shown]
    for seed in sorted({r.seed for row in own for r in row}):
        figures = [next((r.smotsa for r in row if r.seed == seed), None) for row in own]
        line = [float("nan") if value is None else 100 * value for value in figures]
        axis.plot(range(len(shown)), line, "o-", color="tab:green", alpha=0.4, linewidth=1)
    means = [spread([r.smotsa for r in row]) for row in own]
    middles = [float("nan") if found is None else 100 * found[0] for found in means]
    axis.plot(range(len(shown)), middles, "_", color="tab:green", markersize=24, markeredgewidth=2)
    axis.set_ylabel("sMOTSA here, %", color="tab:green")
    axis.set_xticks(range(len(shown)), [v.name for v in shown], rotation=20, ha="right", fontsize=7)
    if any(variation.paper for variation in shown):
        paper = axis.twinx()
        points = [float("nan") if v.paper is None else v.paper for v in shown]
        paper.plot(range(len(shown)), points, "x:", color="tab:gray")
        paper.set_ylabel("paper", color="tab:gray")
    axis.set_title(f"Table {table.number}: {table.title}; a line per seed, bars: mean", fontsize=9)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)
