"""Work for the workers of a Ray cluster, importable by them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def double(number: int) -> int:
    return 2 * number


def double_small(number: int) -> int:
    if number > 2:
        raise ValueError(f"expected a small number, got {number}")
    return 2 * number


def die_once(folder: Path, number: int) -> int:
    """Kill this process the first time that the number 1 is worked on."""
    marker = folder / "died"
    if number == 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def node_of(number: int) -> str:
    """Return the node that this runs on, after a while in which the other one can begin."""
    import ray

    time.sleep(0.3)
    return str(ray.get_runtime_context().get_node_id())
