"""Training of rows where necessary, and evaluation on held-out drives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from time import perf_counter

import torch

from pcan_model.data.datasets.scalabel import read_clips
from pcan_model.evaluation.report.summary import Summary, summarise
from pcan_model.experiments.runs import RowResult, Study, StudyRun, fingerprint, held_out
from pcan_model.experiments.shared_frames import predict_together
from pcan_model.experiments.trainings import as_trained, trained, without_instance
from pcan_model.factory import load_net
from pcan_model.inference.torch_engine import TorchEngine

FIGURES = ("smotsa", "motsa", "motsp", "idf1", "hota", "id_switches")


def grouped(missing: Iterable[StudyRun], study: Study) -> Iterator[list[StudyRun]]:
    """Group consecutive runs to be done together: same seed and, from one detector, same frame pass."""

    def key(one: StudyRun) -> tuple[int, str]:
        config = one.variation.apply(study.base)
        return one.seed, fingerprint(without_instance(config, study) if study.weights else config, study)

    yield from (list(group) for _, group in groupby(missing, key=key))


def run(group: list[StudyRun], study: Study) -> list[RowResult]:
    """Train and evaluate a group of rows."""
    begin = perf_counter()
    torch.set_num_threads(1)  # other numbers may round differently
    configs = {fingerprint(c, study): c for c in (one.variation.apply(study.base) for one in group)}
    weights = trained([as_trained(c, study) for c in configs.values()], group[0].seed, study)
    engines = [TorchEngine(load_net(c, file)) for c, file in zip(configs.values(), weights, strict=True)]
    predictions = predict_together(engines, read_clips(held_out(study)))
    counted = {
        mark: summarise(own, study.base.classes) for mark, own in zip(configs, predictions, strict=True)
    }
    seconds = round((perf_counter() - begin) / len(group), 1)
    return [_result(one, study, counted, seconds) for one in group]


def _result(one: StudyRun, study: Study, counted: dict[str, Summary], seconds: float) -> RowResult:
    config = one.variation.apply(study.base)
    mark = fingerprint(config, study)
    figures = {name: getattr(counted[mark].report.sum, name) for name in FIGURES}
    names = one.table, one.variation.name, one.seed, mark, config.train.iterations
    return RowResult(*names, ap=counted[mark].tracks.stats["AP"], **figures, seconds=seconds)
