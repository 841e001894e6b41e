"""Errors that name a file, a key, what was expected and what was got."""

from __future__ import annotations

from pathlib import Path


class DataError(ValueError):
    """A file that does not hold what it should: `file: key: expected …, got …`."""

    def __init__(self, file: Path | str, key: str, expected: str, got: object) -> None:
        super().__init__(f"{file}: {key}: expected {expected}, got {got}")
