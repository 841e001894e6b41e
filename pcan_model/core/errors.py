"""Errors that name a file, a key, what was expected and what was given."""

from __future__ import annotations

from pathlib import Path


class UserError(Exception):
    """An error that the user can fix: a command prints it in one line and exits with code 2."""


MOST_LETTERS = 400  # maximum length of the expected and of the given value in a message


class DataError(UserError, ValueError):
    """Invalid content of a file: `file: key: expected …, got …`, in one line."""

    def __init__(self, file: Path | str, key: str, expected: object, got: object) -> None:
        # All four are kept as arguments, so that the error can be pickled by a worker process.
        super().__init__(str(file), str(key), _one_line(expected), _one_line(got))

    def __str__(self) -> str:
        file, key, expected, got = self.args
        return f"{file}: {key}: expected {expected}, got {got}"


def _one_line(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"
