"""MOT Challenge's numbers of boxes from result files, by TrackEval's own reader, rules and metrics."""

from __future__ import annotations

import configparser
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from pcan_model.core.errors import DataError
from pcan_model.evaluation.result_files.trackeval_files import Scores, official_scores

METHOD = "TrackEval's MotChallenge2DBox by the rules of {}: boxes of pedestrians, match at IoU >= 0.5"
NESTED, FLAT = "{seq}/gt/gt.txt", "{seq}.txt"  # where a sequence's labels are
WORLD = 10  # fields of a label in MOT15, whose last three are places in the world, not class and visibility
LABEL, RESULT = 8, 7  # fields that TrackEval reads
Row = Sequence[float]  # frame, id, left, top, width, height, flag or confidence, class, …


def score_mot_challenge(truth: Path, said: Path, seqmap: Path | None = None) -> tuple[str, Scores]:
    """Score a folder of `<sequence>.txt` against `<sequence>/gt/gt.txt` or `<sequence>.txt`.

    seqmap   names of sequences below a line of heading; without it all of `truth`

    A sequence is as long as its `seqinfo.ini` says, else to the last line. Returns the method, which
    names the benchmark whose rules hold, and the scores.
    Raises DataError for lines that are none, and for what TrackEval refuses.
    """
    place = NESTED if any(truth.glob(NESTED.format(seq="*"))) else FLAT
    names = _listed(seqmap) if seqmap else _found(truth, place)
    labels = {name: _rows(truth / place.format(seq=name), LABEL) for name in names}
    results = {name: _rows(said / f"{name}.txt", RESULT) for name in names}
    benchmark = _benchmark(labels, truth)
    lengths = {name: _length(truth / name / "seqinfo.ini", labels[name] + results[name]) for name in names}
    settings = {
        "GT_LOC_FORMAT": f"{{gt_folder}}/{place}",
        "SEQ_INFO": lengths,
        "BENCHMARK": benchmark,
        "SKIP_SPLIT_FOL": True,
    }
    scores = official_scores("MotChallenge2DBox", truth, said, settings)
    return METHOD.format(benchmark), scores


def _listed(seqmap: Path) -> list[str]:
    return [name for line in seqmap.read_text().splitlines()[1:] if (name := line.strip())]


def _found(truth: Path, place: str) -> list[str]:
    files = sorted(truth.glob(place.format(seq="*")))
    if not files:
        raise DataError(truth, "files", f"{NESTED} or {FLAT} of every sequence", "none")
    return [file.parent.parent.name if place == NESTED else file.stem for file in files]


def _rows(file: Path, least: int) -> list[Row]:
    """Read a file's lines of numbers, `least` of them or more."""
    if not file.is_file():
        raise DataError(file, "file", "a sequence's lines", "no such file")
    lines = enumerate(file.read_text(errors="replace").splitlines(), start=1)
    return [_row(line, least, f"{file}: line {number}") for number, line in lines if line.strip()]


def _row(line: str, least: int, source: str) -> Row:
    try:
        row = [float(part) for part in line.rstrip(", ").replace(",", " ").split()]
    except ValueError as error:
        raise DataError(source, "fields", "numbers between commas", repr(line)) from error
    if len(row) < least or not all(map(math.isfinite, row)):
        raise DataError(source, "fields", f"{least} finite numbers or more", repr(line))
    if row[0] < 1 or row[1] < 0 or row[0] % 1 or row[1] % 1:
        raise DataError(source, "frame, id", "whole numbers from 1 and 0 on", f"{row[0]:g}, {row[1]:g}")
    return row


def _benchmark(labels: dict[str, list[Row]], truth: Path) -> str:
    """Tell by their labels or names whose rules hold: MOT15 knows no classes, MOT20 one distractor more."""
    kinds = {name: _kind(name, rows) for name, rows in labels.items() if rows}
    if len(set(kinds.values())) > 1:
        raise DataError(truth, "sequences", "labels of one benchmark", kinds)
    return next(iter(kinds.values()), "MOT17")


def _kind(name: str, rows: Iterable[Row]) -> str:
    if all(len(row) >= WORLD for row in rows):
        return "MOT15"
    return "MOT20" if name.startswith("MOT20") else "MOT17"  # MOT16's rules are those of MOT17


def _length(info: Path, rows: Sequence[Row]) -> int:
    """Return a sequence's number of frames."""
    if not info.is_file():
        return int(max((row[0] for row in rows), default=1))
    data = configparser.ConfigParser()
    try:
        data.read(info)
        return data.getint("Sequence", "seqLength")
    except (configparser.Error, ValueError) as error:
        raise DataError(info, "Sequence.seqLength", "a number of frames", error) from error
