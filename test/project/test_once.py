"""Fixtures that are made once for all test processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.once import once


def test_what_is_made_once_is_not_made_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("content")

    name = tmp_path_factory.mktemp("name").name  # another one for every run of this test
    first, second = (once(tmp_path_factory, name, make) for _ in range(2))
    assert first == second and made == [first] and (first / "file").read_text() == "content"


def test_what_could_not_be_made_is_not_taken_for_made(tmp_path_factory: pytest.TempPathFactory) -> None:
    name = tmp_path_factory.mktemp("broken").name

    def fail(folder: Path) -> None:
        raise RuntimeError("no room")

    with pytest.raises(RuntimeError, match="no room"):
        once(tmp_path_factory, name, fail)
    with pytest.raises(FileExistsError):
        once(tmp_path_factory, name, fail)
