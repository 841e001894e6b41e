"""`ros2 run pcan_ros pcan_tracker`, or `python -m pcan_ros.node.start`: runs the node.

Stop signals are handled, and a missing package is a one-line error, before the node's imports.
"""

from __future__ import annotations

import sys

from pcan_model.cli.run import run
from pcan_ros.node.stop_signals import StopSignals


def main() -> int:
    """Run the node until it is stopped; returns the exit code."""
    stop = StopSignals()

    def work(_: object) -> int:
        from pcan_ros.node.run import run_node

        return run_node(stop)

    return run("pcan_tracker", work)


if __name__ == "__main__":
    sys.exit(main())
