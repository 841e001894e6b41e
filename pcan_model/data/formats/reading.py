"""Error handling of readers, and reading of text and JSON files."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pcan_model.core.errors import DataError

OnError = Callable[[DataError], None]
Item = TypeVar("Item")
Found = TypeVar("Found")


def raise_error(error: DataError) -> None:
    """Raise the error."""
    raise error


def warn(error: DataError) -> None:
    """Log the error as a warning, once per process."""
    _warn(str(error))


@lru_cache(maxsize=4096)
def _warn(text: str) -> None:
    logging.getLogger("pcan_model").warning("%s", text)


def lenient(on_error: OnError) -> OnError:
    """Return the handler for errors of single unusable objects, which are skipped.

    It is `on_error`, or a warning instead of raising, so that training and evaluation continue.
    """
    return warn if on_error is raise_error else on_error


def read_all(read: Callable[[Item], Found], items: Iterable[Item], on_error: OnError) -> list[Found]:
    """Apply `read` to all items; DataErrors are passed to `on_error`, which raises or skips the item."""
    found = []
    for item in items:
        try:
            found.append(read(item))
        except DataError as error:
            on_error(error)
    return found


def read_text(file: Path, expected: str) -> str:
    """Read a text file, with or without a byte order mark; raises DataError if missing or not text."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(file, "file", expected, "no such file") from error
    except UnicodeDecodeError as error:
        raise DataError(file, "file", f"{expected} as text", error) from error


def read_rows(file: Path, expected: str) -> list[tuple[int, str]]:
    """Return the non-blank lines of a text file, with their numbers from 1."""
    lines = enumerate(read_text(file, expected).split("\n"), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def read_json(file: Path, expected: str) -> Any:
    """Read a JSON file; raises DataError if missing or invalid."""
    text = read_text(file, expected)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(file, "file", "JSON", error) from error
