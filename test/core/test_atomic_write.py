"""Files and folders appear complete or not at all, and what was there stays until then."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pcan_model.core import atomic_write
from pcan_model.core.atomic_write import atomic_file, atomic_folder, replace_folder, write_bytes


def test_a_file_takes_its_name_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with atomic_file(path) as partial:
        partial.write_text("half")
        assert partial.parent == path.parent and partial.name.startswith(".a.txt.") and not path.exists()
    assert path.read_text() == "half" and os.listdir(path.parent) == ["a.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_file(path) as partial:
        partial.write_text("half")
        1 / 0  # noqa: B018
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_where_nothing_is_written_nothing_changes(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "a.mp4"):
        pass
    assert os.listdir(tmp_path) == []


def test_the_suffix_is_kept_for_libraries_that_go_by_it(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "a.npz", keep_suffix=True) as partial:
        assert partial.suffix == ".npz"


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with atomic_file(path) as one, atomic_file(path) as two:
        assert one != two
        one.write_text("1")
        two.write_text("2")
    assert path.read_text() == "1", "the outer block ends last"


def test_a_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"x")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_durable_files_are_on_the_disk_before_they_have_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    monkeypatch.setattr(atomic_write, "sync", lambda path: events.append(f"sync {path.name[:3]}"))
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("replace"), replace(a, b)))
    write_bytes(tmp_path / "a", b"x", durable=True)
    assert events == ["sync .a.", "replace", f"sync {tmp_path.name[:3]}"]
    events.clear()
    write_bytes(tmp_path / "a", b"x")
    assert events == ["replace"]


def test_a_folder_replaces_the_one_that_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").touch()
    with atomic_folder(folder, durable=True) as partial:
        (partial / "sub").mkdir()
        (partial / "sub" / "new").write_text("x")
        assert (folder / "old").exists()
    assert [p.name for p in folder.iterdir()] == ["sub"] and os.listdir(tmp_path) == ["model"]


def test_a_failed_folder_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").touch()
    with pytest.raises(ZeroDivisionError), atomic_folder(folder) as partial:
        (partial / "new").touch()
        1 / 0  # noqa: B018
    assert os.listdir(folder) == ["old"] and os.listdir(tmp_path) == ["model"]


def test_a_folder_that_cannot_be_replaced_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").touch()
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "nowhere", folder)
    assert os.listdir(folder) == ["old"] and os.listdir(tmp_path) == ["model"]


def test_what_a_killed_writer_left_is_removed_once_nobody_can_be_at_it(tmp_path: Path) -> None:
    old, young, other = (tmp_path / f".{name}.part" for name in ("a.0123abcd", "a.4567cdef", "b.0123abcd"))
    for folder in (old, young, other):
        folder.mkdir()
        (folder / "half").write_text("written")
    for path in (old, old / "half", other, other / "half"):
        os.utime(path, (0, 0))
    with atomic_folder(tmp_path / "a") as partial:
        (partial / "whole").write_text("written")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a", young.name, other.name])
