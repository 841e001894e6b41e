"""Ctrl-C and SIGTERM at any time, and twice: the node ends with 0 and prints nothing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from support.domains import new_domain
from support.robot import PATIENCE, image, robot
from support.squares import export_squares, pixels

from pcan_ros.client.process import NodeProcess

SIGNALS = (signal.SIGINT, signal.SIGTERM)
COMPLAINTS = ("ERROR", "WARN", "FATAL", "Traceback", "rror:", "terminate", "interrupt")


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


def assert_silent_end(process: NodeProcess) -> None:
    """Wait for the end, which must be clean and without a complaint in the log."""
    code, log = process.wait(PATIENCE), process.log()
    assert code == 0, log
    assert not [line for line in log.splitlines() if any(word in line for word in COMPLAINTS)], log


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_stop_while_images_flow_is_clean_and_silent(squares: Path, number: int, times: int) -> None:
    with robot(squares) as r:
        r.track(image(pixels({2: (5, 10)}), 1.0))
        for step in range(40):
            r.client.send(image(pixels({2: (5 + step % 20, 10)}), 1.1 + step / 30))
            if step >= 40 - times:
                os.kill(r.process.pid, number)
            time.sleep(1 / 60)
        assert_silent_end(r.process)


def takes_signals(process: NodeProcess) -> bool:
    """Return whether the process has begun to take its stop signals."""
    fields = dict(line.split(":\t") for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    return bool(int(fields["SigBlk"], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("after", [0.0, 0.3, 0.8, 1.3])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_stop_during_the_start_is_clean_and_silent(squares: Path, number: int, after: float) -> None:
    parameters = {"model": str(squares), "threads": 1}
    with NodeProcess(parameters, {"ROS_DOMAIN_ID": str(new_domain())}) as process:
        end = time.monotonic() + PATIENCE
        while not takes_signals(process) and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(after)
        for _ in range(2):
            os.kill(process.pid, number)
        assert_silent_end(process)
