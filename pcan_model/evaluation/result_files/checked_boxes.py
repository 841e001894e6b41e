"""Validation of MOT Challenge lines, and writing in the form that the official tool reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pcan_model.core.errors import DataError
from pcan_model.core.numbers import whole
from pcan_model.data.formats.reading import warn
from pcan_model.evaluation.result_files.checked_files import check_frame, check_once, renumbered

CLASS = 7  # index of the class among a line's values
PEDESTRIAN, LAST_CLASS = 1, 13


@dataclass(frozen=True, slots=True)
class Row:
    """One box of one frame."""

    frame: int  # from 1
    identity: int
    values: tuple[float, ...]  # frame, id, left, top, width, height, flag or confidence, class, …
    source: str  # file and line number, for error messages


def check_boxes(
    ground_truth: Sequence[Row], predicted: Sequence[Row], length: int | None, *, classes: bool
) -> None:
    """Raise DataError for the first line that the official tool cannot evaluate.

    length   frames of the sequence; None if unknown
    classes  whether labels have a class, as in MOT16 and later
    """
    for rows in (ground_truth, predicted):
        for row in rows:
            check_frame(row.frame - 1, length, row.source)
        check_once((((f"frame {row.frame} id {row.identity}"), row.source) for row in rows), "id")
    for row in ground_truth if classes else ():
        kind = whole(row.values[CLASS])
        if kind is None or not PEDESTRIAN <= kind <= LAST_CLASS:
            raise DataError(row.source, "class", f"1 to {LAST_CLASS}", row.values[CLASS])
    for row in predicted:
        if len(row.values) > CLASS and row.values[CLASS] > PEDESTRIAN:
            raise DataError(row.source, "class", "1 (pedestrian) or none", row.values[CLASS])
    _warn_of_empty_boxes(predicted)


def _warn_of_empty_boxes(rows: Sequence[Row]) -> None:
    empty = [row for row in rows if min(row.values[4:6]) <= 0]
    if empty:
        got = f"{len(empty)} without, which overlap nothing and count as false"
        warn(DataError(empty[0].source, "width, height", "boxes with a surface", got))


def write_boxes(rows: Sequence[Row], file: Path, fields: int) -> None:
    """Write the first fields of the lines for the official tool: sorted, with small ids."""
    numbers = renumbered(row.identity for row in rows)
    lines = []
    for row in sorted(rows, key=lambda row: row.frame):
        values = (f"{value:.17g}" for value in row.values[2:fields])
        lines.append(",".join((str(row.frame), str(numbers[row.identity]), *values)) + "\n")
    file.write_text("".join(lines))
