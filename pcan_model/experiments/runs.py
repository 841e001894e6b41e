"""What a study is made of: rows of tables at seeds, the drives they are counted on, and their results."""

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

ADDED: dict[str, tuple[str, ...]] = {  # fields since the results that are kept, by part; (): all of it
    "sipmask": (),
    "backbone": ("caffe",),
    "train": ("clip_frames", "clip_gradients"),
}
HELD_OUT = 1_000_000  # seed of the first drive that is counted, far from those trained on


@dataclass(frozen=True, slots=True)
class Study:
    """What all rows have in common."""

    base: Config
    drives: int  # synthetic drives to train on, seeds from 0
    held_out: int  # synthetic drives to count, seeds from HELD_OUT
    length: int  # frames of each drive
    folder: Path  # trainings and rendered drives
    backbone: Path | None = None  # ImageNet weights; None: found by the training
    workers: int = 1
    weights: Path | None = None  # a detector that every training starts from; None: from ImageNet


@dataclass(frozen=True, slots=True)
class StudyRun:
    """A row at one seed."""

    table: int
    variation: Variation
    seed: int

    def title(self) -> str:
        """Return how the run is called in lists."""
        return f"table {self.table}: {self.variation.name}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class RowResult:
    """The figures of a run over all classes together (shares, not per cent), and what made them."""

    table: int
    variation: str
    seed: int
    study: str  # fingerprint of everything that decides the figures
    iterations: int
    ap: float  # YouTube-VIS' AP of whole tracks, the measure of the paper's tables
    smotsa: float | None
    motsa: float | None
    motsp: float | None
    idf1: float | None
    hota: float | None
    id_switches: int
    seconds: float  # training, if it ran for this row, and counting; of rows done together a share


def runs(tables: list[Table], seeds: list[int]) -> Iterator[StudyRun]:
    """Return every row at every seed, seed by seed, so that a first answer comes early."""
    for seed in seeds:
        for table in tables:
            for variation in table.variations:
                yield StudyRun(table.number, variation, seed)


def fingerprint(config: Config, study: Study, *, clips: bool = True) -> str:
    """Return a short hash of a configuration, its start and drives; without `clips` not of those counted."""
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
    return {name: value for name, value in values.items() if value != {}}


def _start(study: Study) -> str:
    return hashlib.sha256(study.weights.read_bytes()).hexdigest() if study.weights else ""


def training_drives(study: Study) -> Path:
    """Render what is trained on, once; returns the folder."""
    return _render(study, "drives", range(study.drives))


def held_out(study: Study) -> Path:
    """Render what is counted, once; returns the folder."""
    return _render(study, "held_out", range(HELD_OUT, HELD_OUT + study.held_out))


def _render(study: Study, name: str, seeds: range) -> Path:
    size = study.base.input
    folder = study.folder / f"{name}-{len(seeds)}x{study.length}-{size.height}x{size.width}"
    write_drives(folder, seeds, length=study.length, height=size.height, width=size.width)
    return folder


def read_results(path: Path) -> list[RowResult]:
    """Read the results so far; a file that is not there yet has none."""
    if not path.is_file():
        return []
    return [RowResult(**json.loads(line)) for line in path.read_text().splitlines()]


def write_results(path: Path, results: list[RowResult]) -> None:
    """Save all results as JSON lines, atomically."""
    write_bytes(path, "".join(json.dumps(asdict(result)) + "\n" for result in results).encode())
