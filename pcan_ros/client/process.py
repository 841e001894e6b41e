"""Runs the node as a separate process, started as on a robot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from pcan_ros.environment import missing_settings


class NodeProcess:
    """Runs `pcan_tracker`, or another program, with these parameters until the end of the `with` block."""

    def __init__(
        self,
        parameters: dict[str, Any],
        environment: dict[str, str] | None = None,
        namespace: str = "/",
        module: str = "pcan_ros.node.start",
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pcan_tracker_")
        folder = Path(self._folder.name)
        self._log = folder / "log.txt"
        file = folder / "parameters.yaml"
        file.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
        command = [sys.executable, "-m", module, "--ros-args", "--params-file", str(file)]
        command += ["-r", f"__ns:={namespace}"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=node_environment() | (environment or {})
            )

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def log(self) -> str:
        """Return what the node has printed so far."""
        return self._log.read_text(errors="replace")

    def alive(self) -> bool:
        """Return whether the node still runs."""
        return self._process.poll() is None

    def stop(self, patience: float = 10.0) -> int:
        """Interrupt the node as Ctrl-C does and return its exit code; kills it after `patience` seconds."""
        if self.alive():
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def wait(self, timeout: float) -> int:
        """Wait for the node to exit and return its exit code."""
        return self._process.wait(timeout)


def node_environment() -> dict[str, str]:
    """Return this environment with this package importable and a transport for large images."""
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH", ""))))
    own = {"PYTHONUNBUFFERED": "1", **missing_settings(os.environ)}
    return own | dict(os.environ) | {"PYTHONPATH": path}
