"""`pcan-evaluate` including `--via node`, which plays the clips to a node over DDS."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pcan_model.cli import evaluate
from pcan_model.core.config import Config, ConfigError
from pcan_model.evaluation.predict import ClipPredictor
from pcan_model.evaluation.setup import Setup


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-evaluate`."""
    return evaluate.main(arguments, open_setup)


def open_setup(setup: Setup) -> tuple[ClipPredictor, Config]:
    """Return the predictor and configuration of a setup; ROS is imported for `--via node` only.

    Raises ConfigError for a setup that a node cannot run.
    """
    if setup.via != "node":
        return setup.open()
    if setup.engine == "torch" or setup.without or setup.association:
        raise ConfigError(
            f"{setup.model}: --via node: expected the folder of an exported model and --engine onnx or "
            "openvino, without --association and --without"
        )
    if setup.key_interval > 1 or setup.streaming or setup.latency_budget:
        raise ConfigError(
            f"{setup.model}: --via node: expected no --key-interval, --streaming and --latency-budget, which "
            "are of --via files; --rate plays the clips in real time"
        )
    from pcan_ros.client.through_node import ThroughNode, config_of

    model = Path(setup.model)
    return ThroughNode(model, setup.backend, setup.size, setup.threads, setup.rate), config_of(
        model, setup.size
    )


if __name__ == "__main__":
    sys.exit(main())
