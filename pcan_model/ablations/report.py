"""Results of an ablation as a table and a plot: mean and spread over the seeds, beside the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

from pcan_model.ablations.runs import Result
from pcan_model.ablations.tables import Table

FIGURES = {"smotsa": "sMOTSA", "motsp": "MOTSP", "idf1": "IDF1", "hota": "HOTA"}


def spread(values: Sequence[float | None]) -> tuple[float, float | None] | None:
    """Return mean and standard deviation of known values; None where there is none, or only one."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return mean(known), stdev(known) if len(known) > 1 else None


def to_markdown(table: Table, results: Sequence[Result]) -> str:
    """Return a table's rows: mean ± standard deviation over the seeds, in per cent."""
    lines = [f"| | paper | seeds | {' | '.join(FIGURES.values())} | ID switches |"]
    lines.append("|" + "---|" * (4 + len(FIGURES)))
    for variation in table.variations:
        own = [r for r in results if (r.table, r.variation) == (table.number, variation.name)]
        cells = [_cell([getattr(r, name) for r in own], 100) for name in FIGURES]
        switches = _cell([float(r.id_switches) for r in own], 1)
        paper = "-" if variation.paper is None else f"{variation.paper}"
        lines.append("| " + " | ".join([variation.name, paper, str(len(own)), *cells, switches]) + " |")
    return "\n".join(lines)


def _cell(values: Sequence[float | None], scale: float) -> str:
    found = spread(values)
    if found is None:
        return "-"
    middle, deviation = found
    return f"{scale * middle:.1f}" + ("" if deviation is None else f" ± {scale * deviation:.1f}")


def plot(table: Table, results: Sequence[Result], path: Path) -> None:
    """Draw sMOTSA of each variation, every seed a dot, with the paper's figure on an axis of its own."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    names = [variation.name for variation in table.variations]
    figure, axis = pyplot.subplots(figsize=(7, 3.2), layout="constrained")
    for place, variation in enumerate(table.variations):
        own = [r.smotsa for r in results if (r.table, r.variation) == (table.number, variation.name)]
        known = [100 * value for value in own if value is not None]
        axis.plot([place] * len(known), known, "o", color="tab:green", alpha=0.5)
        if known:
            axis.plot(place, mean(known), "_", color="tab:green", markersize=20)
    axis.set_ylabel("sMOTSA here, %", color="tab:green")
    axis.set_xticks(range(len(names)), names, rotation=20, ha="right", fontsize=7)
    if any(variation.paper for variation in table.variations):
        paper = axis.twinx()
        points = [float("nan") if v.paper is None else v.paper for v in table.variations]
        paper.plot(range(len(names)), points, "x:", color="tab:gray")
        paper.set_ylabel("the paper's figure", color="tab:gray")
    axis.set_title(f"Table {table.number}: {table.title}", fontsize=9)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)
