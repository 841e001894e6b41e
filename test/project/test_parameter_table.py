"""The parameter file and the reference page are what the dataclasses say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from pcan_model.core.config import Config
from pcan_model.core.fields import settings_of
from pcan_model.core.tracker_config import TrackerConfig
from pcan_ros.node.parameters import parameters

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("parameter_table", ROOT / "tools" / "parameter_table.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_written_files_are_up_to_date(tool: ModuleType) -> None:
    assert tool.YAML.read_text() == tool.parameter_file(), tool.COMMAND
    assert tool.LIFTER.read_text() == tool.lifter_file(), tool.COMMAND
    assert tool.PAGE.read_text() == tool.parameter_page(), tool.COMMAND


def test_the_page_has_every_parameter_and_every_constant(tool: ModuleType) -> None:
    page = tool.parameter_page()
    for name in (*parameters(TrackerConfig()), *settings_of(Config), *settings_of(TrackerConfig)):
        assert f"\n| `{name}` | " in page
    assert "| `key_channels` | `64` | at least 1 | D of the keys |" in page
    assert "| `time_gap_limit` | `10.0` | 0.0 to 86400.0 | at runtime |" in page
