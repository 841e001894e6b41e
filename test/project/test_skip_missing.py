"""What `colcon test` skips: tests that need an optional package, never those that fail otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.skip_missing import missing_package

ROOT = Path(__file__).resolve().parents[2]
TESTS = {
    "test_whole": "import not_installed\n",
    "test_inside": "def test_a():\n    import not_installed.part\ndef test_b():\n    pass\n",
    "test_cause": (
        "def test_a():\n    try:\n        import not_installed\n"
        "    except ImportError as error:\n        raise ImportError('install it') from error\n"
    ),
    "test_wrong": "def test_a():\n    assert False\ndef test_b():\n    import pcan_model.no_such_module\n",
}


def test_a_missing_package_skips_and_a_fault_fails(tmp_path: Path) -> None:
    for name, text in TESTS.items():
        (tmp_path / f"{name}.py").write_text(text)
    path = os.pathsep.join([str(ROOT), str(ROOT / "test"), os.environ.get("PYTHONPATH", "")])
    plugins = ["-p", "support.skip_missing", "-p", "no:launch_testing", "-p", "no:launch_ros"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", *plugins, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": path}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "2 failed, 1 passed, 3 skipped" in run.stdout, run.stdout
    assert "test_whole.py:0: needs not_installed, which is not installed" in run.stdout.replace(
        "Skipped: ", ""
    )


@pytest.mark.parametrize(
    ("text", "package"),
    [
        ("ModuleNotFoundError: No module named 'torch.nn'", "torch"),
        ("ModuleNotFoundError: No module named 'numpy'", ""),
        ("ModuleNotFoundError: No module named 'pcan_ros.msg'", ""),
        ("AssertionError", ""),
    ],
)
def test_what_the_robot_needs_is_not_optional(text: str, package: str) -> None:
    assert missing_package(text) == package
