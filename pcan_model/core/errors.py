"""Errors that name a file, a key, what was expected and what was got."""

from __future__ import annotations

from pathlib import Path


class UserError(Exception):
    """What the user can mend: a command prints it as one line and ends with exit code 2."""


class DataError(UserError, ValueError):
    """A file that does not hold what it should: `file: key: expected …, got …`."""

    def __init__(self, file: Path | str, key: str, expected: str, got: object) -> None:
        super().__init__(f"{file}: {key}: expected {expected}, got {got}")
