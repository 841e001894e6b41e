"""DDS domains for tests: no two processes of a run, nor two tests of one at a time, share one."""

from __future__ import annotations

import itertools
import os

FIRST, NUMBER = map(int, os.environ.get("PCAN_TEST_DOMAINS", "1 200").split())  # of all processes together
PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
OWN = NUMBER // PROCESSES  # domains of this process
_first = FIRST + OWN * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_next = itertools.count(os.getpid())  # another one than the last run's, whose nodes may be ending


def new_domain() -> int:
    """Return a DDS domain that no other test of this run uses at the same time."""
    return _first + next(_next) % OWN
