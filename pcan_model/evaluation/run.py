"""Prediction of clips by one or several workers, reusing existing predictions and those of other runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from tqdm import tqdm

from pcan_model.core.config import Config, ConfigError, config_to_dict
from pcan_model.core.workers import WorkerOptions
from pcan_model.data.clips import Clip, check_names
from pcan_model.evaluation.predict import ClipPredictor
from pcan_model.evaluation.predictions import (
    ClipPredictions,
    collect_predictions,
    images_of,
    read_predictions,
    write_predictions,
)
from pcan_model.evaluation.setup import OpenSetup, Setup

VERSION = 2  # of the predictions; incremented when the same settings give other results
FOLDER = "sequences"  # in the output folder: one file per clip
ALONE = WorkerOptions()


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several disjoint parts of the clips."""

    part: int = 1  # from 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.part <= self.of:
            raise ConfigError(f"--shard: expected I/N with 1 <= I <= N, got {self.part}/{self.of}")

    def take(self, clips: Sequence[Clip]) -> list[Clip]:
        """Return the clips of this part."""
        return list(clips[self.part - 1 :: self.of])


@dataclass(frozen=True, slots=True)
class Run:
    """Clips, the setup to predict them with, and the folder of the predictions."""

    setup: Setup
    clips: tuple[Clip, ...]
    folder: Path
    weights: str  # hash of the weights
    config: Config
    elsewhere: tuple[Path, ...] = ()  # outputs of other runs, used if their settings are the same
    open_setup: OpenSetup = Setup.open  # called in each process

    def __post_init__(self) -> None:
        check_names(self.clips, self.folder)

    def path(self, clip: Clip) -> Path:
        """Return the file of a clip's predictions, unique for its name."""
        return self.folder / FOLDER / f"{quote(clip.name, safe=' ')}.json"

    def key(self, clip: Clip) -> str:
        """Return a hash of the clip and all settings that affect its predictions."""
        setup = asdict(self.setup) | {"model": "", "weights": self.weights}
        parts = [VERSION, setup, config_to_dict(self.config), clip.name, clip.rate, images_of(clip)]
        return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def missing(self) -> list[Clip]:
        """Return the clips without predictions; those of other runs are copied first."""
        return [clip for clip in self.clips if not self._found(clip)]

    def predictions(self) -> Iterator[ClipPredictions]:
        """Read the predictions one after another, in the order of the clips."""
        for clip in self.clips:
            predictions = read_predictions(self.path(clip), self.key(clip))
            assert predictions is not None, "complete() must be called first"
            yield predictions

    def complete(self, predictor: ClipPredictor, workers: WorkerOptions = ALONE) -> int:
        """Predict the missing clips; returns the number of existing ones.

        predictor  used in this process if it works alone; other workers open the setup themselves
        """
        missing = self.missing()
        with tqdm(total=sum(map(len, missing)), unit="frame", desc="evaluate", disable=not missing) as bar:
            if workers.alone or (len(missing) < 2 and not workers.ray):
                for clip in missing:
                    bar.set_postfix_str(clip.name)
                    write_predictions(
                        self.path(clip), collect_predictions(predictor, clip, self.key(clip), bar.update)
                    )
            else:
                predict = partial(_predict, self.open_setup, self.setup)
                for clip, predictions in workers.each(predict, missing, cpus=self.setup.threads):
                    write_predictions(self.path(clip), replace(predictions, key=self.key(clip)))
                    bar.update(len(clip))
        return len(self.clips) - len(missing)

    def _found(self, clip: Clip) -> bool:
        for other in (self, *(_elsewhere(self, folder) for folder in self.elsewhere)):
            predictions = read_predictions(other.path(clip), self.key(clip))
            if predictions is not None:
                if other is not self:
                    write_predictions(self.path(clip), predictions)
                return True
        return False


def _elsewhere(run: Run, folder: Path) -> Run:
    return Run(run.setup, run.clips, folder, run.weights, run.config)


@cache
def _opened(open_setup: OpenSetup, setup: Setup) -> ClipPredictor:
    """Load a network once per process."""
    return open_setup(setup)[0]


def _predict(open_setup: OpenSetup, setup: Setup, clip: Clip) -> ClipPredictions:
    return collect_predictions(_opened(open_setup, setup), clip)
