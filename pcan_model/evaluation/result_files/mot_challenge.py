"""MOT Challenge scores of box result files, with TrackEval's reader, rules and metrics."""

from __future__ import annotations

import configparser
import math
import re
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from pcan_model.core.errors import DataError
from pcan_model.core.numbers import whole, whole_text
from pcan_model.data.formats.reading import read_rows, read_text
from pcan_model.evaluation.result_files.checked_boxes import Row, check_boxes, write_boxes
from pcan_model.evaluation.result_files.checked_files import (
    MOST_FRAMES,
    result_file,
    warn_of_unknown_sequences,
)
from pcan_model.evaluation.result_files.trackeval_files import Scores, official_scores

METHOD = "TrackEval's MotChallenge2DBox by the rules of {}: boxes of pedestrians, match at IoU >= 0.5"
NESTED, FLAT = "{seq}/gt/gt.txt", "{seq}.txt"  # label file of a sequence
WORLD = 10  # fields of a label in MOT15, whose last three are world coordinates, not class and visibility
LABEL, RESULT = 8, 7  # fields read by TrackEval
NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?|[-+]?(nan|inf|infinity)", re.A | re.I)


def score_mot_challenge(
    ground_truth: Path, predicted: Path, seqmap: Path | None = None
) -> tuple[str, Scores]:
    """Score a folder of `<sequence>.txt` against `<sequence>/gt/gt.txt` or `<sequence>.txt`.

    seqmap   names of sequences after a header line; by default all of `ground_truth`

    The length of a sequence is from its `seqinfo.ini`, else from the last line. Returns the method, which
    names the benchmark whose rules apply, and the scores.
    Every line is validated first. A missing result file is reported and counts as missed objects.
    Raises DataError for invalid lines and for what TrackEval rejects.
    """
    layout = NESTED if any(ground_truth.glob(NESTED.format(seq="*"))) else FLAT
    names = _listed(seqmap) if seqmap else _found(ground_truth, layout)
    if not seqmap:
        warn_of_unknown_sequences(predicted, names)
    files = {name: result_file(predicted, name) for name in names}
    labels = {name: _rows(ground_truth / layout.format(seq=name), LABEL) for name in names}
    results = {name: _rows(file, RESULT) if file else [] for name, file in files.items()}
    benchmark = _benchmark(labels, ground_truth)
    lengths = {}
    for name in names:
        length = _length(ground_truth / name / "seqinfo.ini")
        check_boxes(labels[name], results[name], length, classes=benchmark != "MOT15")
        last = max((row.frame for row in labels[name] + results[name]), default=1)
        lengths[name] = last if length is None else length
    with TemporaryDirectory() as folder:
        targets, predictions = Path(folder) / "truth", Path(folder) / "results"
        targets.mkdir()
        predictions.mkdir()
        for name in names:
            write_boxes(labels[name], targets / f"{name}.txt", LABEL)
            write_boxes(results[name], predictions / f"{name}.txt", RESULT)
        settings = {
            "GT_LOC_FORMAT": f"{{gt_folder}}/{FLAT}",
            "SEQ_INFO": lengths,
            "BENCHMARK": benchmark,
            "SKIP_SPLIT_FOL": True,
        }
        scores = official_scores("MotChallenge2DBox", targets, predictions, settings, source=predicted)
    return METHOD.format(benchmark), scores


def _listed(seqmap: Path) -> list[str]:
    names = [name for number, name in read_rows(seqmap, "a list of sequences") if number > 1]
    if not names:
        raise DataError(seqmap, "lines", "a heading, then a sequence in each", "none")
    return names


def _found(ground_truth: Path, layout: str) -> list[str]:
    files = sorted(ground_truth.glob(layout.format(seq="*")))
    if not files:
        raise DataError(ground_truth, "files", f"{NESTED} or {FLAT} of every sequence", "none")
    return [file.parent.parent.name if layout == NESTED else file.stem for file in files]


def _rows(file: Path, least: int) -> list[Row]:
    """Read a file's lines of at least `least` numbers."""
    rows = read_rows(file, "a sequence's lines")
    return [_row(line, least, f"{file}: line {number}") for number, line in rows]


def _row(line: str, least: int, source: str) -> Row:
    parts = line.rstrip(", ").replace(",", " ").split()
    if not all(NUMBER.fullmatch(part) for part in parts):
        raise DataError(source, "fields", "numbers between commas", repr(line))
    values = [float(part) for part in parts]
    if len(values) < least or not all(map(math.isfinite, values)):
        raise DataError(source, "fields", f"{least} finite numbers or more", repr(line))
    frame, identity = whole(values[0]), whole(values[1])
    if frame is None or identity is None or frame < 1 or identity < 0:
        got = f"{parts[0]}, {parts[1]}"
        raise DataError(source, "frame, id", "whole numbers from 1 and 0 on", got)
    return Row(frame, whole_text(parts[1]) or identity, tuple(values), source)


def _benchmark(labels: dict[str, list[Row]], ground_truth: Path) -> str:
    """Return the benchmark by labels or names: MOT15 has no classes, MOT20 has a further distractor."""
    kinds = {name: _kind(name, rows) for name, rows in labels.items() if rows}
    if len(set(kinds.values())) > 1:
        raise DataError(ground_truth, "sequences", "labels of one benchmark", kinds)
    return next(iter(kinds.values()), "MOT17")


def _kind(name: str, rows: Iterable[Row]) -> str:
    if all(len(row.values) >= WORLD for row in rows):
        return "MOT15"
    return "MOT20" if name.startswith("MOT20") else "MOT17"  # MOT16 has the rules of MOT17


def _length(info: Path) -> int | None:
    """Return the number of frames of a sequence; None without the file."""
    if not info.is_file():
        return None
    data = configparser.ConfigParser()
    try:
        data.read_string(read_text(info, "a sequence's facts"))
        length = data.getint("Sequence", "seqLength")
    except (configparser.Error, ValueError) as error:
        raise DataError(info, "Sequence.seqLength", "a number of frames", error) from error
    if not 0 < length <= MOST_FRAMES:
        raise DataError(info, "Sequence.seqLength", f"1 to {MOST_FRAMES}", length)
    return length
