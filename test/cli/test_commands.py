"""Every command has a help with an example, also without torch, and fails in one line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = (ROOT / "pyproject.toml").read_text()
COMMANDS = dict(re.findall(r'^(pcan-[\w-]+) = "([\w.]+):main"$', PYPROJECT, re.MULTILINE))
WITHOUT = ("torch", "torchvision", "onnx", "rclpy", "std_msgs", "sensor_msgs")
NEEDS_TORCH = {
    "train": ["pcan_street_tiny", "--data", "x"],
    "export": ["pcan_street_tiny", "--out", "x"],
    "convert": ["x.pth"],
    "ablate": ["3", "--dry-run"],
    "attention": ["x.mp4", "--weights", "x"],
}


def start(program: str, words: list[str], without: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run a command in a Python that lacks some packages."""
    blocked = f"import sys; [sys.modules.__setitem__(name, None) for name in {without!r}]"
    code = f"{blocked}; from {COMMANDS[program]} import main; sys.exit(main({words!r}))"
    environment = os.environ | {"COLUMNS": "100"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)


def test_pyproject_names_the_main_of_every_command() -> None:
    assert len(COMMANDS) == 14 and "pcan-train" in COMMANDS


@pytest.mark.parametrize("program", list(COMMANDS))
def test_the_help_needs_neither_torch_nor_ros_and_has_an_example(program: str) -> None:
    done = start(program, ["--help"], WITHOUT)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^  {program} \S", done.stdout, re.MULTILINE), "an example on a line of its own"


@pytest.mark.parametrize("command", NEEDS_TORCH)
def test_a_command_without_torch_says_what_to_install(command: str) -> None:
    done = start(f"pcan-{command}", NEEDS_TORCH[command], ("torch",))
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"pcan-{command}: needs torch" in done.stderr and "make train-env" in done.stderr


@pytest.mark.parametrize("program", list(COMMANDS))
def test_a_word_that_is_no_option_ends_with_2(program: str) -> None:
    done = start(program, ["--no-such-option"], ())
    assert done.returncode == 2 and f"{program}" in done.stderr and "Traceback" not in done.stderr
