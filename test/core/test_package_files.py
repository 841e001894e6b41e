"""Where the package finds its own files, from sources and installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pcan_model.core import package_files as share

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["msg", "config/fastdds_shm.xml", "models/pcan_street"])
def test_sources_come_first(name: str) -> None:
    assert share.shared(name) == ROOT / name and (ROOT / name).exists()


def test_what_pip_installed_is_found_without_ros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ament_index_python", None)
    monkeypatch.setitem(sys.modules, "ament_index_python.packages", None)
    monkeypatch.setattr(
        share, "__file__", str(tmp_path / "lib/python3.12/site-packages/pcan_model/core/package_files.py")
    )
    assert share.shared("msg") == tmp_path / "share" / "pcan_ros" / "msg", "where it should be"
    (tmp_path / "share/pcan_ros/msg").mkdir(parents=True)
    assert share.shared("msg").is_dir()


def test_pip_installs_what_is_looked_for() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for folder in ("config", "msg", "models/pcan_street"):
        assert f'"share/pcan_ros/{folder}" = ["{folder}/*"]' in text


def test_sources_may_lie_next_to_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "__file__", "/src/pcan_model/core/package_files.py")
    assert share.shared("no_such_file").name == "no_such_file"


def test_without_a_sourced_ros_the_sources_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    assert share.shared("msg") == ROOT / "msg"
