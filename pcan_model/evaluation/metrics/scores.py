"""Scores per class and over all classes, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

RATES = ("hota", "deta", "assa", "loca", "smotsa", "motsa", "motsp", "idf1")
COUNTS = (
    "objects",
    "id_switches",
    "hops",
    "true_positives",
    "false_positives",
    "false_negatives",
)
SIZES = ("small", "medium", "large")
HEADS = {
    "hota": "HOTA",
    "deta": "DetA",
    "assa": "AssA",
    "loca": "LocA",
    "smotsa": "sMOTSA",
    "motsa": "MOTSA",
    "motsp": "MOTSP",
    "idf1": "IDF1",
    "objects": "objects",
    "id_switches": "IDSw",
    "hops": "hops",
    "true_positives": "TP",
    "false_positives": "FP",
    "false_negatives": "FN",
    "small": "R <500px",
    "medium": "R 500-2000",
    "large": "R >2000",
}
NOTES = """sum: counts of all classes together, also of false objects in classes that never occur.
hops: a track changes to another true object; IDSw: a true object changes to another track.
mean: plain mean of the classes that occur in the labels; its counts are theirs.
R: share of the true objects of that area (pixels of the label) found at mask IoU >= 0.5."""


@dataclass(frozen=True, slots=True)
class Recall:
    """Recall of ground-truth objects at mask IoU >= 0.5."""

    found: int
    total: int

    def __add__(self, other: Recall) -> Recall:
        return Recall(self.found + other.found, self.total + other.total)

    @property
    def rate(self) -> float | None:
        """Return the recall; None without objects."""
        return self.found / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class Score:
    """Scores of one class or several; rates are None without ground-truth objects."""

    name: str
    hota: float | None  # mean over the 19 IoU thresholds, in [0, 1], as for the next three
    deta: float | None  # detection accuracy
    assa: float | None  # association accuracy
    loca: float | None  # localisation accuracy
    smotsa: float | None  # (sum of the matches' IoU - FP - IDSw) / objects, at most 1
    motsa: float | None  # (TP - FP - IDSw) / objects, at most 1
    motsp: float | None  # mean IoU of the matches, in [0, 1]
    idf1: float | None  # in [0, 1]
    objects: int  # ground-truth masks
    id_switches: int  # ground-truth objects that change their track
    hops: int  # tracks that change their ground-truth object
    true_positives: int
    false_positives: int
    false_negatives: int
    small: Recall  # of ground-truth objects under 500 px
    medium: Recall  # of 500 to 2000 px
    large: Recall  # over 2000 px


@dataclass(frozen=True, slots=True)
class Report:
    """Scores of an evaluation."""

    method: str  # description
    clips: int
    frames: int
    classes: tuple[Score, ...]  # with ground truth or predictions
    sum: Score  # all classes as one (micro average)
    mean: Score  # mean of the classes with ground truth (macro average)


def mean_of(scores: Sequence[Score]) -> Score:
    """Average the classes with ground truth; absent ones do not count."""
    present = [score for score in scores if score.objects]
    values: dict[str, Any] = {"name": f"mean of {len(present)} classes"}
    for rate in RATES:
        known = [value for s in present if (value := getattr(s, rate)) is not None]
        values[rate] = sum(known) / len(known) if known else None
    for count in COUNTS:
        values[count] = sum(getattr(score, count) for score in present)
    for size in SIZES:
        values[size] = sum((getattr(score, size) for score in present), Recall(0, 0))
    return Score(**values)


def to_plain(report: Report) -> dict[str, Any]:
    """Return the report as nested plain values for JSON."""
    plain = {f.name: getattr(report, f.name) for f in fields(report)}
    plain["classes"] = {score.name: score_plain(score) for score in report.classes}
    return plain | {"sum": score_plain(report.sum), "mean": score_plain(report.mean)}


def score_plain(score: Score) -> dict[str, Any]:
    """Return a row as plain values."""
    recalls = {f"recall_{size}": getattr(score, size) for size in SIZES}
    return {name: getattr(score, name) for name in RATES + COUNTS} | {
        name: {"found": r.found, "total": r.total, "rate": r.rate} for name, r in recalls.items()
    }


def to_text(report: Report) -> str:
    """Return the report as a text table; rates in per cent, `-` if undefined."""
    rows = [["", *HEADS.values()]]
    for score in (*report.classes, report.sum, report.mean):
        rates = [_percent(getattr(score, rate)) for rate in RATES]
        counts = [str(getattr(score, count)) for count in COUNTS]
        rows.append([score.name, *rates, *counts, *(_recall(getattr(score, s)) for s in SIZES)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.rjust(w) for cell, w in zip(r, widths, strict=True)) for r in rows]
    head = f"{report.frames} frames in {report.clips} clips. {report.method}"
    return "\n".join([head, *lines, NOTES])


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _recall(recall: Recall) -> str:
    return f"{recall.found}/{recall.total}"
