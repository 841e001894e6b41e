"""The commands where torch is not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("command", ["train", "export", "convert", "ablate", "attention"])
def test_a_command_without_torch_says_what_to_install(command: str) -> None:
    blocked = "import sys; sys.modules['torch'] = None"
    code = f"{blocked}; from pcan_model.cli.entry_points import {command}; sys.exit({command}())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 2 and "Traceback" not in run.stderr
    assert f"pcan-{command}: needs torch" in run.stderr and "make train-env" in run.stderr
