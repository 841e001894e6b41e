"""Interfaces stay as they are, or the changelog says so."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
MASK = "msg/InstanceMask.msg"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("message_layouts", ROOT / "tools" / "message_layouts.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with the interfaces, their record and the changelog."""
    for folder in ("msg", "srv"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "CHANGELOG.md", tmp_path)
    return tmp_path


def change(root: Path, old: str, new: str) -> None:
    path = root / MASK
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_every_layout_is_as_recorded_and_named_in_the_changelog(tool: ModuleType) -> None:
    assert [*tool.unrecorded(ROOT), *tool.unnamed(ROOT)] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("uint32 width ", "uint16 width "),
        ("uint32 width ", "uint32 columns "),
        ("uint8 BITMAP=2", "uint8 BITMAP=4"),
        ("uint32 width ", "uint32 width 1 "),
        ("uint8[] data", "uint8[<=9] data"),
    ],
)
def test_a_changed_layout_is_noticed_until_it_is_recorded_and_named(
    tool: ModuleType, copy: Path, old: str, new: str
) -> None:
    change(copy, old, new)
    assert [line.split(":")[0] for line in tool.unrecorded(copy)] == ["msg/InstanceMask"]
    (missing,) = tool.unnamed(copy)
    with (copy / "CHANGELOG.md").open("a") as changelog:
        changelog.write(f"- {missing.split('with ')[1]}\n")
    assert list(tool.unnamed(copy)) == []


def test_added_and_removed_interfaces_are_noticed(tool: ModuleType, copy: Path) -> None:
    (copy / MASK).rename(copy / "msg" / "Other.msg")
    assert [line.split(":")[0] for line in tool.unrecorded(copy)] == ["msg/InstanceMask", "msg/Other"]


def test_comments_and_spaces_are_no_layout(tool: ModuleType, copy: Path) -> None:
    change(copy, "columns of the crop, pixels", "columns")
    change(copy, "uint32 width ", "uint32   width ")
    assert list(tool.unrecorded(copy)) == []
    assert tool.digest("string a '#1'") != tool.digest("string a '#2'")
