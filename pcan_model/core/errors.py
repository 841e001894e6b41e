"""Errors that name a file, a key, what was expected and what was got."""

from __future__ import annotations

from pathlib import Path


class UserError(Exception):
    """What the user can mend: a command prints it as one line and ends with exit code 2."""


MOST_LETTERS = 400  # of what was expected, and of what was got, in an error's one line


class DataError(UserError, ValueError):
    """A file that does not hold what it should: `file: key: expected …, got …`, in one line."""

    def __init__(self, file: Path | str, key: str, expected: object, got: object) -> None:
        # All four are kept as arguments, so that a worker process can hand the error on.
        super().__init__(str(file), str(key), _one_line(expected), _one_line(got))

    def __str__(self) -> str:
        file, key, expected, got = self.args
        return f"{file}: {key}: expected {expected}, got {got}"


def _one_line(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"
