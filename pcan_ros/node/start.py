"""`ros2 run pcan_ros pcan_tracker`, or `python -m pcan_ros.node.start`: the node as a process of its own.

The stop signals are taken, and a missing package is one line, before whatever is imported for the node.
"""

from __future__ import annotations

import sys

from pcan_model.cli.run import run
from pcan_ros.node.stop_signals import StopSignals


def main() -> int:
    """Run the node until it is told to stop; returns the exit code."""
    stop = StopSignals()

    def work(_: object) -> int:
        from pcan_ros.node.run import run_node

        return run_node(stop)

    return run("pcan_tracker", work)


if __name__ == "__main__":
    sys.exit(main())
