"""Trains in two processes of torchrun's agent; each then saves its weights and its pairs (OUT/rank<n>.pt).

They are copies of a process that has imported torch, which takes longer than what they train.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # else each process imports it with its first step
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from pcan_model.cli import train
from pcan_model.training import trainer
from pcan_model.training.loader import Batch
from pcan_model.training.losses import Losses


class Watched(trainer.Trainer):
    """A trainer that records itself and its pairs."""

    last: Watched

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.pairs: list[int] = []
        Watched.last = self

    def update(self, batch: Batch) -> Losses:
        self.pairs += batch.names
        return super().update(batch)


def watched(arguments: list[str]) -> None:
    """Train with the arguments of `pcan-train` as one process of a group, and save what is compared."""
    trainer.Trainer = Watched  # type: ignore[misc, assignment]
    train.main(arguments)
    out = Path(arguments[arguments.index("--out") + 1])
    weights = {name: value.detach() for name, value in Watched.last.net.state_dict().items()}
    torch.save({"weights": weights, "pairs": Watched.last.pairs}, out / f"rank{os.environ['RANK']}.pt")


if __name__ == "__main__":
    alone = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0"}  # as torchrun --standalone
    elastic_launch(LaunchConfig(1, 1, 2, start_method="fork", **alone), watched)(sys.argv[1:])
