"""Which rows of which tables are trained and counted; no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pcan_model.core.fields import about, setting


@dataclass(frozen=True, slots=True)
class AblateOptions:
    """One run of a study."""

    tables: tuple[int, ...] = field(
        metadata=about("of the paper, 3 to 10; 11: Table 3 trained on clips as long", low=3, high=11)
    )
    config: str = setting("pcan_street_tiny", "what is varied: preset or YAML file")
    seeds: tuple[int, ...] = setting((0, 1, 2), "of the trainings", low=0)
    skip: tuple[str, ...] = setting((), "rows that are left out, by their names")
    iterations: int | None = setting(
        None,
        "steps of each training; the configuration's without it; 0: count with --weights as they are",
        low=0,
    )
    drives: int = setting(120, "drives to train on", low=1)
    held_out: int = setting(12, "drives to count", low=1)
    length: int = setting(12, "frames of each drive", low=1)
    out: Path = setting(Path("runs/ablations"), "folder for trainings and drives")
    docs: Path = setting(Path("docs/ablations"), "folder for results, tables and plots")
    backbone: Path | None = setting(None, "ImageNet weights, as in pcan-train")
    weights: Path | None = setting(
        None, "a trained detector that all rows start from, their modules drawn anew"
    )
    workers: int = setting(1, "processes that load data", low=0)
    dry_run: bool = setting(False, "only list what is left to do")
