"""What every result file is checked for before an official tool sees it: sequences, frames, identities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pcan_model.core.errors import DataError
from pcan_model.data.formats.reading import warn

MOST_FRAMES = 100_000  # of a sequence; a higher number is a time stamp, and the tools count up to it


def result_file(predicted: Path, name: str) -> Path | None:
    """Return the file of a sequence; None, and a warning, where there is none: all of it counts as missed.

    Raises DataError where there is not even a folder.
    """
    if not predicted.is_dir():
        raise DataError(predicted, "folder", "results, <sequence>.txt", "no such folder")
    path = predicted / f"{name}.txt"
    if path.is_file():
        return path
    warn(DataError(path, "file", "a sequence's lines", "no such file: all its objects count as missed"))
    return None


def name_strangers(predicted: Path, names: Sequence[str]) -> None:
    """Warn of result files that belong to no sequence; official tools do not open them."""
    strangers = sorted({path.stem for path in predicted.glob("*.txt")} - set(names))
    if strangers:
        warn(
            DataError(predicted, "files", "sequences of the labels", f"{strangers[:5]}, which are not scored")
        )


def check_frame(number: int, length: int | None, source: str) -> None:
    """Raise DataError for a frame, counted from 0, beyond the sequence; length None: not known."""
    if number >= (MOST_FRAMES if length is None else length):
        expected = f"a frame below {MOST_FRAMES}" if length is None else f"one of {length} frames"
        raise DataError(source, "frame", expected, f"number {number}, counted from 0")


def check_once(keys: Iterable[tuple[object, str]], key: str) -> None:
    """Raise DataError for what stands twice in a frame; each with its file and line."""
    known: dict[object, str] = {}
    for value, source in keys:
        if value in known:
            line = known[value].rpartition(": ")[2]
            raise DataError(source, key, "once in a frame", f"{value} again, as in {line}")
        known[value] = source


def renumbered(identities: Iterable[int]) -> dict[int, int]:
    """Return a small number for each identity, in order: the tools' tables are as long as the highest."""
    return {identity: number for number, identity in enumerate(sorted(set(identities)), start=1)}
