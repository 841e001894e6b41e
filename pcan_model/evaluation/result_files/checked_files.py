"""Validation of all result files before an official tool reads them: sequences, frames, identities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pcan_model.core.errors import DataError
from pcan_model.data.formats.reading import warn

MOST_FRAMES = (
    100_000  # per sequence; larger numbers are time stamps, for which the tools would allocate frames
)


def result_file(predicted: Path, name: str) -> Path | None:
    """Return the result file of a sequence; None with a warning if missing, so that all objects are missed.

    Raises DataError if the folder does not exist.
    """
    if not predicted.is_dir():
        raise DataError(predicted, "folder", "results, <sequence>.txt", "no such folder")
    path = predicted / f"{name}.txt"
    if path.is_file():
        return path
    warn(DataError(path, "file", "a sequence's lines", "no such file: all its objects count as missed"))
    return None


def warn_of_unknown_sequences(predicted: Path, names: Sequence[str]) -> None:
    """Warn about result files of unknown sequences, which official tools ignore."""
    unknown = sorted({path.stem for path in predicted.glob("*.txt")} - set(names))
    if unknown:
        warn(DataError(predicted, "files", "sequences of the labels", f"{unknown[:5]}, which are not scored"))


def check_frame(number: int, length: int | None, source: str) -> None:
    """Raise DataError for a frame number from 0 beyond the sequence; length is None if unknown."""
    if number >= (MOST_FRAMES if length is None else length):
        expected = f"a frame below {MOST_FRAMES}" if length is None else f"one of {length} frames"
        raise DataError(source, "frame", expected, f"number {number}, counted from 0")


def check_once(keys: Iterable[tuple[object, str]], key: str) -> None:
    """Raise DataError for duplicate keys in a frame; each comes with its file and line."""
    known: dict[object, str] = {}
    for value, source in keys:
        if value in known:
            line = known[value].rpartition(": ")[2]
            raise DataError(source, key, "once in a frame", f"{value} again, as in {line}")
        known[value] = source


def renumbered(identities: Iterable[int]) -> dict[int, int]:
    """Map identities to small numbers in order, since the tools' tables are as long as the largest."""
    return {identity: number for number, identity in enumerate(sorted(set(identities)), start=1)}
