"""Options of a training run; no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pcan_model.core.fields import about, setting


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """One training run."""

    data: tuple[str, ...] = field(
        metadata=about(
            "data sets (`pcan-data -h` lists the formats; the first that fits, split train and all videos "
            "by default); the weight says how often each is drawn; `pcan-drive` renders such folders"
        )
    )
    hold_out: tuple[str, ...] = setting(
        (), "videos never trained on; VIDEO:FRAME for a part, from that frame on"
    )
    out: Path = setting(Path("runs/train"), "folder for checkpoint and logs", writes=True)
    backbone: Path | None = setting(
        None,
        "weights of the backbone: a torch state, or a frozen TensorFlow detector (.pb); without it "
        "ImageNet's, found for mobilenet_v2",
    )
    weights: Path | None = setting(None, "trained weights to start from, such as an earlier stage's")
    fresh: tuple[str, ...] = setting(
        (), "parts that are not taken from --weights, such as instance_attention"
    )
    batch: int | None = setting(
        None, "clips per step over all processes; without it the configuration's", low=1
    )
    iterations: int | None = setting(None, "optimiser steps; without it the configuration's", low=1)
    resume: bool = setting(False, "go on from --out, if something is there")
    device: Literal["auto", "cpu", "cuda"] = setting("auto", "auto takes a GPU where there is one")
    workers: int = setting(1, "processes that load data", low=0)
    seed: int = setting(0, "of weights and pairs", low=0)
    save_every: int = setting(500, "between two checkpoints", unit="steps", low=1)
    log_every: int = setting(20, "between two lines of losses", unit="steps", low=1)
