"""The real `ros2 launch` as a process, for tests that run where ROS 2's launch is installed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROS2 = "import sys; from ros2cli.cli import main; sys.exit(main())"
PACKAGE = any(
    Path(prefix, "share", "ament_index", "resource_index", "packages", "pcan_ros").is_file()
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
)  # whether it is built, and sourced
PATIENCE = 30.0  # seconds for whatever should happen at once, on a busy machine


class Launch:
    """A running `ros2 launch`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self._log = process, log

    def log(self) -> str:
        """Return what has been printed so far, without colours."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self._log.read_text(errors="replace"))

    def until(self, text: str) -> None:
        """Wait until something is printed."""
        end = time.monotonic() + PATIENCE
        while text not in self.log():
            assert self.process.poll() is None and time.monotonic() < end, f"no {text!r} in\n{self.log()}"
            time.sleep(0.05)

    def interrupt(self) -> None:
        """Press Ctrl-C: launch and all that it started are interrupted, as by a terminal."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self) -> int:
        """Wait for the process to end and return the exit code."""
        return self.process.wait(PATIENCE)


def ros2(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ros2 to its end."""
    if not PACKAGE:
        pytest.skip("needs the built package: make build")
    command = [sys.executable, "-c", ROS2, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def launched(folder: Path, file: str | Path, *arguments: str, **environment: str) -> Iterator[Launch]:
    """Launch a file, or one of this package by its name, in a process group of its own."""
    if not PACKAGE:
        pytest.skip("needs the built package: make build")
    words = [str(file)] if isinstance(file, Path) else ["pcan_ros", file]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    own = os.environ | {"PYTHONPATH": path, "ROS_LOG_DIR": str(folder / "log"), **environment}
    log = folder / "launch.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", ROS2, "launch", *words, *arguments],
            env=own, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        yield Launch(process, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
