"""BDD100K's official MOTS metrics, averaged as in scalabel 0.3.1 and bdd100k 1.0.1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pcan_model.core.config import CLASSES
from pcan_model.evaluation.metrics.clear import Tally, tally
from pcan_model.evaluation.metrics.comparison import Compared, Objects, compare
from pcan_model.evaluation.metrics.tracking import identity_counts

PARENTS = {  # of the official configuration
    "human": ("pedestrian", "rider"),
    "vehicle": ("car", "truck", "bus", "train"),
    "bike": ("motorcycle", "bicycle"),
}
AVERAGE, OVERALL = "AVERAGE", "OVERALL"
METHOD = (
    "As scalabel 0.3.1 and bdd100k 1.0.1: CLEAR MOT of py-motmetrics at mask IoU >= 0.5, unmatched objects "
    "in crowd or ignored regions (share > 0.5) left out; mMOTSA, mMOTSP, mIDF1 are means over all "
    "{count} classes, absent ones and undefined rates counted as 0."
)


@dataclass(frozen=True, slots=True)
class BddRow:
    """A row of the official table; rates in per cent, None where the official tool returns NaN."""

    name: str
    mota: float | None  # of masks; papers call it MOTSA
    motp: float | None
    idf1: float | None
    counts: Tally


@dataclass(frozen=True, slots=True)
class BddScores:
    """The official table: classes, super-classes, mean and total."""

    classes: tuple[BddRow, ...]
    parents: tuple[BddRow, ...]
    average: BddRow  # mMOTSA, mMOTSP, mIDF1, with absent classes as 0
    overall: BddRow  # all classes as one

    @property
    def method(self) -> str:
        """Return a description of the method."""
        return METHOD.format(count=len(self.classes))


def count_class(frames: Sequence[Compared]) -> Tally:
    """Count one class of a clip, including identity metrics."""
    matches, extra, missed = identity_counts(frames)
    return replace(tally(frames), id_matches=matches, id_false_positives=extra, id_misses=missed)


def count_clip(
    ground_truth: Sequence[Objects], predicted: Sequence[Objects], classes: Sequence[str] = CLASSES
) -> tuple[Tally, ...]:
    """Count a clip class by class."""
    return tuple(
        count_class([compare(t, s, label) for t, s in zip(ground_truth, predicted, strict=True)])
        for label in range(len(classes))
    )


def bdd_scores(
    clips: Sequence[Sequence[Tally]],
    classes: Sequence[str] = CLASSES,
    parents: Mapping[str, Sequence[str]] = PARENTS,
) -> BddScores:
    """Sum up the counts of clips, given by clip and class, and average."""
    sums = {name: sum((clip[k] for clip in clips), Tally()) for k, name in enumerate(classes)}
    rows = tuple(_row(name, counts) for name, counts in sums.items())
    above = [
        _row(parent, sum((sums[c] for c in members if c in sums), Tally()))
        for parent, members in parents.items()
    ]
    overall = _row(OVERALL, sum(sums.values(), Tally()))
    return BddScores(rows, tuple(above), _average(rows, overall.counts), overall)


def _row(name: str, counts: Tally) -> BddRow:
    return BddRow(name, _percent(counts.mota), _percent(counts.motp), _percent(counts.idf1), counts)


def _percent(rate: float | None) -> float | None:
    return None if rate is None else 100 * rate


def _average(rows: Sequence[BddRow], counts: Tally) -> BddRow:
    def mean(rates: Iterable[float | None]) -> float:
        return sum(rate or 0 for rate in rates) / len(rows)

    mota, motp = mean(row.mota for row in rows), mean(row.motp for row in rows)
    return BddRow(AVERAGE, mota, motp, mean(row.idf1 for row in rows), counts)


def bdd_text(scores: BddScores) -> str:
    """Return the rows usually reported in papers as text."""

    def line(row: BddRow, names: str) -> str:
        rates = [("-" if rate is None else f"{rate:.1f}") for rate in (row.mota, row.motp, row.idf1)]
        return f"{names} {' / '.join(rates)}, {row.counts.switches} ID switches"

    average = line(scores.average, "mMOTSA / mMOTSP / mIDF1:")
    overall = line(scores.overall, "all classes as one:")
    return f"{average}; {overall}\n{scores.method}"


def bdd_plain(scores: BddScores) -> dict[str, Any]:
    """Return the table as nested plain values with the official tool's keys."""
    rows = (*scores.classes, *scores.parents, scores.average, scores.overall)
    average = scores.average
    summary = {"mMOTA": average.mota, "mMOTP": average.motp, "mIDF1": average.idf1}
    return {
        "method": scores.method,
        "per_class": {row.name: _plain(row) for row in rows},
        "summary": summary | _plain(scores.overall),
    }


def _plain(row: BddRow) -> dict[str, float | None]:
    counts = row.counts
    return {
        "MOTA": row.mota,
        "MOTP": row.motp,
        "IDF1": row.idf1,
        "FP": counts.false_positives,
        "FN": counts.misses,
        "IDSw": counts.switches,
        "MT": counts.mostly_tracked,
        "PT": counts.partly_tracked,
        "ML": counts.mostly_lost,
        "FM": counts.fragments,
    }
