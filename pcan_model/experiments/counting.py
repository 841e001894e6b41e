"""Rows of a study trained where necessary, and counted on drives that no training saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from time import perf_counter

import torch

from pcan_model.data.datasets.scalabel import read_clips
from pcan_model.evaluation.report.summary import Summary, summarise
from pcan_model.experiments.runs import RowResult, Study, StudyRun, fingerprint, held_out
from pcan_model.experiments.shared_frames import answer_together
from pcan_model.experiments.trainings import as_trained, trained, without_instance
from pcan_model.factory import load_net
from pcan_model.inference.torch_engine import TorchEngine

FIGURES = ("smotsa", "motsa", "motsp", "idf1", "hota", "id_switches")


def together(waiting: Iterable[StudyRun], study: Study) -> Iterator[list[StudyRun]]:
    """Group neighbouring runs that are done together: same seed and, from one detector, same frame pass."""

    def apart(one: StudyRun) -> tuple[int, str]:
        config = one.variation.apply(study.base)
        return one.seed, fingerprint(without_instance(config, study) if study.weights else config, study)

    yield from (list(group) for _, group in groupby(waiting, key=apart))


def run(group: list[StudyRun], study: Study) -> list[RowResult]:
    """Train and count rows that are done together."""
    begin = perf_counter()
    torch.set_num_threads(1)  # another number may round otherwise
    configs = {fingerprint(c, study): c for c in (one.variation.apply(study.base) for one in group)}
    weights = trained([as_trained(c, study) for c in configs.values()], group[0].seed, study)
    engines = [TorchEngine(load_net(c, file)) for c, file in zip(configs.values(), weights, strict=True)]
    answers = answer_together(engines, read_clips(held_out(study)))
    counted = {mark: summarise(own, study.base.classes) for mark, own in zip(configs, answers, strict=True)}
    seconds = round((perf_counter() - begin) / len(group), 1)
    return [_result(one, study, counted, seconds) for one in group]


def _result(one: StudyRun, study: Study, counted: dict[str, Summary], seconds: float) -> RowResult:
    config = one.variation.apply(study.base)
    mark = fingerprint(config, study)
    figures = {name: getattr(counted[mark].report.sum, name) for name in FIGURES}
    names = one.table, one.variation.name, one.seed, mark, config.train.iterations
    return RowResult(*names, ap=counted[mark].tracks.stats["AP"], **figures, seconds=seconds)
