"""One row of an ablation at one seed: trained unless another row's training serves, then counted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter

import yaml

from pcan_model import train
from pcan_model.ablations.tables import Table, Variation
from pcan_model.config import Config, config_to_dict
from pcan_model.data.scalabel import read_clips
from pcan_model.evaluate import evaluate
from pcan_model.evaluation.setup import Setup
from pcan_model.synthetic.drive import write_drives

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


@dataclass(frozen=True, slots=True)
class Run:
    """A row at one seed."""

    table: int
    variation: Variation
    seed: int

    def title(self) -> str:
        """Return how the run is called in lists."""
        return f"table {self.table}: {self.variation.name}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of a run over all classes together (shares, not per cent), and what made them."""

    table: int
    variation: str
    seed: int
    study: str  # fingerprint of everything that decides the figures
    iterations: int
    smotsa: float | None
    motsa: float | None
    motsp: float | None
    idf1: float | None
    hota: float | None
    id_switches: int
    seconds: float  # training, if it ran for this row, and counting


def runs(tables: list[Table], seeds: list[int]) -> Iterator[Run]:
    """Return every row at every seed, seed by seed, so that a first answer comes early."""
    for table in tables:
        for seed in seeds:
            for variation in table.variations:
                yield Run(table.number, variation, seed)


def fingerprint(config: Config, study: Study, *, clips: bool = True) -> str:
    """Return a short hash of a configuration and its drives; without `clips` not of those counted."""
    drives = (study.drives, study.length, study.held_out if clips else 0)
    content = json.dumps([config_to_dict(config), drives], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def as_trained(config: Config, base: Config) -> Config:
    """Return a configuration without what only plays a part after training.

    Training sees pairs, a memory of one frame; so rows that differ in its length share a training.
    """
    kept = base.frame_attention.memory_frames
    return replace(
        config, tracker=base.tracker, frame_attention=replace(config.frame_attention, memory_frames=kept)
    )


def run(one: Run, study: Study) -> Result:
    """Train and count one row at one seed."""
    begin, config = perf_counter(), one.variation.apply(study.base)
    weights = trained(as_trained(config, study.base), one.seed, study)
    file = weights.with_name(f"{fingerprint(config, study)}.yaml")
    write_config(file, config)
    follow, config = Setup(str(file), weights=weights).open()
    report = evaluate(follow, read_clips(held_out(study)), config.classes)
    figures = {name: getattr(report.sum, name) for name in ("smotsa", "motsa", "motsp", "idf1", "hota")}
    return Result(
        one.table,
        one.variation.name,
        one.seed,
        fingerprint(config, study),
        config.train.iterations,
        **figures,
        id_switches=report.sum.id_switches,
        seconds=round(perf_counter() - begin, 1),
    )


def trained(config: Config, seed: int, study: Study) -> Path:
    """Return the weights of a training, run or gone on with unless it is complete."""
    folder = study.folder / f"{fingerprint(config, study, clips=False)}-{seed}"
    done = folder / "done"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_config(folder / "config.yaml", config)
        fixed = ["--data", str(training_drives(study)), "--out", str(folder), "--resume"]
        fixed += ["--seed", str(seed), "--workers", str(study.workers), "--log-every", "100"]
        backbone = ["--backbone", str(study.backbone)] if study.backbone else []
        train.main([str(folder / "config.yaml"), *fixed, *backbone])
        done.touch()
    return folder / "weights.safetensors"


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


def write_config(path: Path, config: Config) -> None:
    """Save a configuration as YAML, whole or not at all."""
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(yaml.safe_dump(config_to_dict(config), sort_keys=False))
    partial.replace(path)


def read_results(path: Path) -> list[Result]:
    """Read the results so far; a file that is not there yet has none."""
    if not path.is_file():
        return []
    return [Result(**json.loads(line)) for line in path.read_text().splitlines()]


def write_results(path: Path, results: list[Result]) -> None:
    """Save all results as JSON lines, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_text("".join(json.dumps(asdict(result)) + "\n" for result in results))
    partial.replace(path)
