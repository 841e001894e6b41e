"""Evaluation: tracks clips, computes the official metrics, and writes a report."""

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
from pcan_model.evaluation.report.images import comparison_image
from pcan_model.evaluation.report.page import WorstFrameImage, page
from pcan_model.evaluation.report.provenance import provenance, weights_hash
from pcan_model.evaluation.report.published import PUBLISHED
from pcan_model.evaluation.report.summary import Summary, summarise, summary_plain
from pcan_model.evaluation.run import Run
from pcan_model.evaluation.setup import OpenSetup, Setup
from pcan_model.evaluation.submission import VideoIds, read_ids, write_submission
from pcan_model.lifting.ground_plane import FlatRoad
from pcan_model.visualization.from_above import view_of

COUNTED = {"kitti_mots": tuple(kitti_mots.CATEGORIES)}  # labelled classes of a data set, if not all


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """Results of an evaluation."""

    clips: int
    reused: int  # clips with existing predictions of the same settings
    summary: Summary
    cost: Cost | None  # of real time, if evaluated

    def text(self) -> str:
        """Return the tables as text."""
        tables = f"{to_text(self.summary.report)}\n\n{bdd_text(self.summary.bdd100k)}"
        return f"{tables}\n{self.cost.text()}" if self.cost else tables


def run_evaluation(
    setup: Setup, options: EvaluateOptions, words: Sequence[str] = (), open_setup: OpenSetup = Setup.open
) -> Evaluated:
    """Track clips without predictions, compute the metrics, and write the requested files.

    words       the command line, for the report
    open_setup  opens the tracker; the ROS package passes one that runs a node
    """
    with _output(options.out) as folder:
        return _evaluate(setup, options, words, folder, open_setup)


def evaluate(predictor: ClipPredictor, clips: Sequence[Clip], classes: Sequence[str] = CLASSES) -> Report:
    """Predict and score clips one by one, keeping only one in memory."""
    with tqdm(total=sum(map(len, clips)), unit="frame", desc="evaluate") as bar:
        return summarise(
            (collect_predictions(predictor, clip, progress=bar.update) for clip in clips), classes
        ).report


def evaluate_in_real_time(
    predictor: ClipPredictor, rate: float, clips: Sequence[Clip], lockstep: Summary, *counted: Any
) -> Cost:
    """Evaluate the same clips again in real time, at a multiple of their rate, and compare with lock-step.

    counted  further arguments of `summarise`: the classes, and the labelled ones
    """
    latencies: list[Sequence[float | None]] = []

    def predict() -> Iterator[ClipPredictions]:
        with tqdm(total=sum(map(len, clips)), unit="frame", desc="in real time") as bar:
            for clip in clips:
                predictions = collect_predictions(predictor, clip, progress=bar.update)
                latencies.append(predictions.seconds)
                yield predictions

    summary = summarise(predict(), *counted)
    return Cost(timing_of(rate, latencies), lockstep, summary)


def _evaluate(
    setup: Setup, options: EvaluateOptions, words: Sequence[str], folder: Path, open_setup: OpenSetup
) -> Evaluated:
    official_metrics()  # raises now if packages are missing, not after tracking
    layout = recognise(options.data, options.format).name
    predictor, config = open_setup(replace(setup, rate=0.0))
    clips = options.shard.take(_clips(options, config.classes))
    run = Run(
        replace(setup, rate=0.0), tuple(clips), folder, weights_hash(setup), config,
        elsewhere=options.merge, open_setup=open_setup,
    )  # fmt: skip
    reused = run.complete(predictor, options)
    classes = config.classes
    counted = classes, COUNTED.get(layout)
    summary = summarise(run.predictions(), *counted)
    cost = (
        evaluate_in_real_time(open_setup(setup)[0], setup.rate, clips, summary, *counted)
        if setup.rate
        else None
    )
    if options.submit:
        ids = read_ids(options.annotations, classes) if options.annotations else VideoIds()
        write_submission(options.submit, run.predictions(), folder / options.submit, classes, ids=ids)
    if options.out:
        data = options.published or (layout if layout in PUBLISHED else None)
        _write(run, summary, words, data, {"in_real_time": cost.plain()} if cost else {})
    return Evaluated(len(clips), reused, summary, cost)


def _write(run: Run, summary: Summary, words: Sequence[str], data: str | None, more: dict[str, Any]) -> None:
    """Write the report as JSON and as HTML."""
    origin = provenance(run.setup, run.config.name, run.weights, words)
    plain: dict[str, Any] = {"provenance": asdict(origin), "videos": [clip.name for clip in run.clips]}
    plain["class_names"] = list(run.config.classes)
    plain |= summary_plain(summary) | more
    write_bytes(run.folder / "report.json", (json.dumps(plain, indent=1) + "\n").encode())
    text = page(summary, origin, list(_worst_frame_images(run, summary)), data=data)
    write_bytes(run.folder / "report.html", text.encode())


def _worst_frame_images(run: Run, summary: Summary) -> Iterator[WorstFrameImage]:
    """Draw the worst frames."""
    clips = {clip.name: clip for clip in run.clips}
    for worst in summary.worst_frames:
        clip = clips[worst.clip]
        predictions = read_predictions(run.path(clip), run.key(clip))
        assert predictions is not None
        image = clip.frame(worst.frame).image
        ground_truth, predicted = predictions.ground_truth[worst.frame], predictions.predicted[worst.frame]
        file = clip.file(worst.frame)
        view = view_of(file.parent if file else Path(clip.name), run.config.classes, FlatRoad())
        yield WorstFrameImage(worst, comparison_image(image, ground_truth, predicted, worst, view))


@contextmanager
def _output(folder: Path | None) -> Iterator[Path]:
    """Yield the output folder, or a temporary one."""
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
        raise DataError(options.data, "labels", "labelled clips", "images only")
    if options.clip_rate:
        for clip in clips:
            clip.rate = options.clip_rate
    return clips
