"""Runs of a study: rows of tables with seeds, drives for training and evaluation, and results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.config import Config, config_to_dict
from pcan_model.experiments.tables import Table, Variation
from pcan_model.synthetic.drive import write_drives

ADDED: dict[str, tuple[str, ...]] = {  # fields newer than existing results, by part; (): all of them
    "sipmask": (),
    "backbone": ("caffe",),
    "tracker": (
        "least_cosine",
        "gate_iou",
        "class_momentum",
        "motion",
        "motion_weight",
        "gate",
        "camera_motion",
        "second_pass",
        "lost_seconds",
        "confirm_frames",
        "confirm_score",
        "confirm_gap",
        "overlap",
        "riders",
    ),
    "train": ("clip_frames", "clip_gradients", "new_classes"),
}
HELD_OUT = 1_000_000  # seed of the first drive for evaluation, far from those for training


@dataclass(frozen=True, slots=True)
class Study:
    """Common settings of all rows."""

    base: Config
    drives: int  # synthetic drives to train on, seeds from 0
    held_out: int  # synthetic drives for evaluation, seeds from HELD_OUT
    length: int  # frames of each drive
    folder: Path  # trainings and rendered drives
    backbone: Path | None = None  # ImageNet weights; None: the default of training
    workers: int = 1
    weights: Path | None = None  # detector that every training starts from; None: from ImageNet


@dataclass(frozen=True, slots=True)
class StudyRun:
    """A row with a seed."""

    table: int
    variation: Variation
    seed: int

    def title(self) -> str:
        """Return the title of the run."""
        return f"table {self.table}: {self.variation.name}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class RowResult:
    """Scores of a run over all classes (fractions, not per cent), and its settings."""

    table: int
    variation: str
    seed: int
    study: str  # fingerprint of all settings that affect the scores
    iterations: int
    ap: float  # YouTube-VIS AP, the metric of the paper's tables
    smotsa: float | None
    motsa: float | None
    motsp: float | None
    idf1: float | None
    hota: float | None
    id_switches: int
    seconds: float  # training, if run, and evaluation; divided among the rows of a group


def runs(tables: list[Table], seeds: list[int]) -> Iterator[StudyRun]:
    """Yield every row with every seed, seed by seed, for early first results."""
    for seed in seeds:
        for table in tables:
            for variation in table.variations:
                yield StudyRun(table.number, variation, seed)


def fingerprint(config: Config, study: Study, *, clips: bool = True) -> str:
    """Return a short hash of a configuration, its initial weights and drives.

    clips  include the drives for evaluation
    """
    drives = (study.drives, study.length, study.held_out if clips else 0)
    values = config_to_dict(config)
    values = _as_kept(values)
    content = json.dumps([values, drives, _start(study)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _as_kept(values: dict[str, Any]) -> dict[str, Any]:
    """Return plain values by the names of when the results that are kept were made, less newer defaults."""
    values, default = {**values, "form": values["variant"]}, config_to_dict(Config())
    del values["variant"]
    for part, names in ADDED.items():
        newer = [name for name in names or values[part] if values[part][name] == default[part][name]]
        values[part] = {k: v for k, v in values[part].items() if k not in newer}
    values["tracker"]["keep_lost"] = values["tracker"].pop("lost_frames")
    return {name: value for name, value in values.items() if value != {}}


def _start(study: Study) -> str:
    return hashlib.sha256(study.weights.read_bytes()).hexdigest() if study.weights else ""


def training_drives(study: Study) -> Path:
    """Render the drives for training, unless they exist; returns the folder."""
    return _render(study, "drives", range(study.drives))


def held_out(study: Study) -> Path:
    """Render the drives for evaluation, unless they exist; returns the folder."""
    return _render(study, "held_out", range(HELD_OUT, HELD_OUT + study.held_out))


def _render(study: Study, name: str, seeds: range) -> Path:
    size = study.base.input
    folder = study.folder / f"{name}-{len(seeds)}x{study.length}-{size.height}x{size.width}"
    write_drives(folder, seeds, length=study.length, height=size.height, width=size.width)
    return folder


def read_results(path: Path) -> list[RowResult]:
    """Read the existing results; none if the file does not exist."""
    if not path.is_file():
        return []
    return [RowResult(**json.loads(line)) for line in path.read_text().splitlines()]


def write_results(path: Path, results: list[RowResult]) -> None:
    """Write all results as JSON lines, atomically."""
    write_bytes(path, "".join(json.dumps(asdict(result)) + "\n" for result in results).encode())
