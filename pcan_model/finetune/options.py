"""Options of a fine-tuning; no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pcan_model.core.fields import about, setting


@dataclass(frozen=True, slots=True)
class FinetuneOptions:
    """Labels, the model to start from, and how long to train."""

    labels: tuple[str, ...] = field(
        metadata=about("labelled data sets, in any format that `pcan-data -h` lists, with weights as --data")
    )
    from_: str = setting(
        "street", "model to start from: street, street_tiny, folder of an exported model, or checkpoint"
    )
    out: Path = setting(Path("runs/finetune"), "folder to write; must not hold a finished run", writes=True)
    classes: tuple[str, ...] = setting(
        (),
        "classes of the new model (default: those it had); NEW=OLD lets a new class start as a copy of one "
        "that it had",
    )
    hold_out: tuple[str, ...] = setting(
        (), "videos to measure on instead of training; VIDEO:FRAME for a part, from that frame on"
    )
    test: str | None = setting(None, "another labelled data set to measure on; then nothing is held out")
    held_out_share: float = setting(
        0.2, "share of the frames to measure on, if neither of these is given", low=0.01, high=0.9
    )
    steps: int = setting(240, "optimiser steps; with new classes half as many before", low=1)
    crop: tuple[int, int] | None = setting(
        None, "height and width of training images (default: the configuration's)", low=32
    )
    rate: float | None = setting(None, "learning rate (default: the detector's recipe)", low=0.0)
    force: bool = setting(False, "export the model even if it is worse than before")
    workers: int = setting(1, "processes that load data", low=0)
    seed: int = setting(0, "of training images", low=0)
