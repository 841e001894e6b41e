"""`torchrun` target: trains, then each process saves its weights and its pairs (OUT/rank<n>.pt)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch

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


if __name__ == "__main__":
    trainer.Trainer = Watched  # type: ignore[misc, assignment]
    train.main(sys.argv[1:])
    out = Path(sys.argv[sys.argv.index("--out") + 1])
    weights = {name: value.detach() for name, value in Watched.last.net.state_dict().items()}
    torch.save({"weights": weights, "pairs": Watched.last.pairs}, out / f"rank{os.environ['RANK']}.pt")
