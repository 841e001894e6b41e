"""`python -m pcan_ros.start pcan-bag …`: runs a command by name; a missing package is a one-line error.

The modules of the commands import NumPy, pycocotools and others before they can catch an import error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from pcan_model.cli.run import run

COMMANDS = {
    "pcan-bag": "pcan_ros.bag.command",
    "pcan-build-engine": "pcan_model.cli.build_engine",
    "pcan-evaluate": "pcan_ros.evaluate",
}


def start(program: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""

    def work(words: Sequence[str]) -> int:
        return int(import_module(COMMANDS[program]).main(words) or 0)

    return run(program, work, arguments)


if __name__ == "__main__":
    sys.exit(start(sys.argv[1], sys.argv[2:]))
