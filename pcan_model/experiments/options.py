"""Options of an ablation study; no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pcan_model.core.fields import about, setting


@dataclass(frozen=True, slots=True)
class AblateOptions:
    """The tables, trainings and files of an ablation study."""

    tables: tuple[int, ...] = field(
        metadata=about(
            "tables of the paper, 3 to 10; 11 and 12: 3 and 6 trained on longer clips", low=3, high=12
        )
    )
    config: str = setting("pcan_street_tiny", "base configuration: preset or YAML file")
    seeds: tuple[int, ...] = setting((0, 1, 2), "seeds of the trainings", low=0)
    skip: tuple[str, ...] = setting((), "names of rows to skip")
    iterations: int | None = setting(
        None,
        "steps of each training (default: the configuration's); 0: evaluate --weights as they are",
        low=0,
    )
    drives: int = setting(120, "number of drives for training", low=1)
    held_out: int = setting(12, "number of drives for evaluation", low=1)
    length: int = setting(12, "frames per drive", low=1)
    out: Path = setting(Path("runs/ablations"), "folder for trainings and drives", writes=True)
    docs: Path = setting(Path("docs/ablations"), "folder for results, tables and plots", writes=True)
    backbone: Path | None = setting(None, "ImageNet weights, as in pcan-train")
    weights: Path | None = setting(
        None, "trained detector that all rows start from, with newly initialised modules"
    )
    workers: int = setting(1, "number of data loader processes", low=0)
    dry_run: bool = setting(False, "only list the missing rows")
