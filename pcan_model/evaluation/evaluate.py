"""Clips tracked, counted as the data sets' official tools do, and reported."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip
from pcan_model.data.formats import kitti_mots
from pcan_model.data.registry import open_clips, recognise
from pcan_model.evaluation.metrics.bdd100k import bdd_text
from pcan_model.evaluation.metrics.scores import Report, to_text
from pcan_model.evaluation.metrics.tracking import official_metrics
from pcan_model.evaluation.options import EvaluateOptions
from pcan_model.evaluation.predict import ClipPredictor
from pcan_model.evaluation.predictions import ClipPredictions, collect_predictions, read_predictions
from pcan_model.evaluation.real_time import Cost, timing_of
from pcan_model.evaluation.report.images import beside
from pcan_model.evaluation.report.page import Shot, page
from pcan_model.evaluation.report.provenance import provenance, weights_hash
from pcan_model.evaluation.report.published import PUBLISHED
from pcan_model.evaluation.report.summary import Summary, summarise, summary_plain
from pcan_model.evaluation.run import Run
from pcan_model.evaluation.setup import OpenSetup, Setup
from pcan_model.evaluation.submission import VideoIds, read_ids, write_submission

COUNTED = {"kitti_mots": tuple(kitti_mots.CATEGORIES)}  # classes that a kind of data set labels, if not all


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """What an evaluation has found."""

    clips: int
    reused: int  # of them, answered before by the same settings
    summary: Summary
    cost: Cost | None  # of real time, if that was asked for

    def text(self) -> str:
        """Return the tables for people."""
        tables = f"{to_text(self.summary.report)}\n\n{bdd_text(self.summary.bdd100k)}"
        return f"{tables}\n{self.cost.text()}" if self.cost else tables


def run_evaluation(
    setup: Setup, options: EvaluateOptions, words: Sequence[str] = (), open_setup: OpenSetup = Setup.open
) -> Evaluated:
    """Track what is not answered yet, count everything, and write what the options ask for.

    words       the command line, for the report
    open_setup  loads what is evaluated; the ROS package hands in one that reaches a node
    """
    with _output(options.out) as folder:
        return _evaluate(setup, options, words, folder, open_setup)


def evaluate(follow: ClipPredictor, clips: Sequence[Clip], classes: Sequence[str] = CLASSES) -> Report:
    """Follow and count clips one by one, each frame read once; only one clip is in memory."""
    with tqdm(total=sum(map(len, clips)), unit="frame", desc="evaluate") as bar:
        return summarise(
            (collect_predictions(follow, clip, progress=bar.update) for clip in clips), classes
        ).report


def in_real_time(
    follow: ClipPredictor, rate: float, clips: Sequence[Clip], lockstep: Summary, *counted: Any
) -> Cost:
    """Evaluate the same clips again at a multiple of their pace, and set it beside lock-step.

    counted  the classes, and those of them that count, as `summarise` takes them
    """
    latencies: list[Sequence[float | None]] = []

    def answers() -> Iterator[ClipPredictions]:
        with tqdm(total=sum(map(len, clips)), unit="frame", desc="in real time") as bar:
            for clip in clips:
                predictions = collect_predictions(follow, clip, progress=bar.update)
                latencies.append(predictions.seconds)
                yield predictions

    summary = summarise(answers(), *counted)
    return Cost(timing_of(rate, latencies), lockstep, summary)


def _evaluate(
    setup: Setup, options: EvaluateOptions, words: Sequence[str], folder: Path, open_setup: OpenSetup
) -> Evaluated:
    official_metrics()  # what is missing shows now, not when every clip has been tracked
    layout = recognise(options.data, options.format).name
    follow, config = open_setup(replace(setup, rate=0.0))
    clips = options.shard.take(_clips(options, config.classes))
    run = Run(
        replace(setup, rate=0.0), tuple(clips), folder, weights_hash(setup), config,
        elsewhere=options.merge, open_setup=open_setup,
    )  # fmt: skip
    reused = run.complete(follow, options.jobs)
    counted = config.classes, COUNTED.get(layout)
    summary = summarise(run.answers(), *counted)
    cost = in_real_time(open_setup(setup)[0], setup.rate, clips, summary, *counted) if setup.rate else None
    if options.submit:
        ids = read_ids(options.annotations, config.classes) if options.annotations else VideoIds()
        write_submission(options.submit, run.answers(), folder / options.submit, config.classes, ids=ids)
    if options.out:
        data = options.published or (layout if layout in PUBLISHED else None)
        _write(run, summary, words, data, {"in_real_time": cost.plain()} if cost else {})
    return Evaluated(len(clips), reused, summary, cost)


def _write(run: Run, summary: Summary, words: Sequence[str], data: str | None, more: dict[str, Any]) -> None:
    """Save the report as JSON and as a page."""
    origin = provenance(run.setup, run.config.name, run.weights, words)
    plain = {"provenance": asdict(origin), "videos": [clip.name for clip in run.clips]}
    plain |= summary_plain(summary) | more
    write_bytes(run.folder / "report.json", (json.dumps(plain, indent=1) + "\n").encode())
    text = page(summary, origin, list(_shots(run, summary)), data=data)
    write_bytes(run.folder / "report.html", text.encode())


def _shots(run: Run, summary: Summary) -> Iterator[Shot]:
    """Draw the worst moments."""
    clips = {clip.name: clip for clip in run.clips}
    for moment in summary.moments:
        clip = clips[moment.clip]
        predictions = read_predictions(run.path(clip), run.key(clip))
        assert predictions is not None
        image = clip.frame(moment.frame).image
        ground_truth, predicted = predictions.ground_truth[moment.frame], predictions.predicted[moment.frame]
        yield Shot(moment, beside(image, ground_truth, predicted, moment))


@contextmanager
def _output(folder: Path | None) -> Iterator[Path]:
    """Give the folder to write to; without one, a temporary one."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="pcan_evaluate_") as name:
            yield Path(name)


def _clips(options: EvaluateOptions, classes: Sequence[str]) -> list[Clip]:
    clips = open_clips(
        options.data, options.format, split=options.split, videos=options.videos, names=classes
    )
    if not all(clip.labelled for clip in clips):
        raise DataError(options.data, "labels", "labelled clips, to count against", "images only")
    return clips
