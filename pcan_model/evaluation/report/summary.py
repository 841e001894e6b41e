"""All results of an evaluation, accumulated clip by clip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pcan_model.core.config import CLASSES
from pcan_model.core.percentiles import percentiles
from pcan_model.evaluation.metrics.average_precision import Precision, TrackPrecision
from pcan_model.evaluation.metrics.bdd100k import BddScores, bdd_plain, bdd_scores, count_clip
from pcan_model.evaluation.metrics.scores import Report, Score, score_plain, to_plain
from pcan_model.evaluation.metrics.tracking import Scorer
from pcan_model.evaluation.predictions import ClipPredictions
from pcan_model.evaluation.report.worst_frames import WorstFrame, select_worst, worst_frames

WORST_COUNT = 10  # worst frames to report
AP_METHOD = "YouTube-VIS: AP of whole tracks by COCO's rules, without ignored regions."


@dataclass(frozen=True, slots=True)
class Speed:
    """Time per frame, without reading images and labels."""

    frames: int  # processed
    dropped: int  # in real time
    mean: float | None  # seconds from image to tracks; None without frames
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Results of all families of metrics."""

    report: Report  # HOTA, CLEAR and identity by TrackEval
    curves: dict[str, tuple[float, ...]]  # HOTA, DetA, AssA, LocA over the 19 IoU thresholds
    clips: tuple[Score, ...]  # every clip, all classes as one
    bdd100k: BddScores  # as in BDD100K's official tools
    tracks: Precision  # YouTube-VIS' AP
    worst_frames: tuple[WorstFrame, ...]  # in descending severity
    speed: Speed


def summarise(
    predictions: Iterable[ClipPredictions],
    known: Sequence[str] = CLASSES,
    counted: Sequence[str] | None = None,
) -> Summary:
    """Score clips one by one.

    known    class names, in the order of labels
    counted  classes labelled in the data set; objects of others are dropped (None: all)
    """
    classes = tuple(known if counted is None else counted)
    scorer, tracks = Scorer(classes), TrackPrecision(dict(enumerate(classes)))
    names, counts, bad = [], [], list[WorstFrame]()
    seconds: list[float | None] = []
    for clip in predictions if counted is None else (one.only(known, classes) for one in predictions):
        names.append(clip.name)
        scorer.add(clip.ground_truth, clip.predicted)
        counts.append(count_clip(clip.ground_truth, clip.predicted, classes))
        tracks.add(clip.video())
        bad = select_worst([*bad, *worst_frames(clip, len(classes))], WORST_COUNT)
        seconds += clip.seconds
    return Summary(
        scorer.report(),
        scorer.curves(),
        scorer.clip_scores(names),
        bdd_scores(counts, classes),
        tracks.result(),
        tuple(bad),
        _speed(seconds),
    )


def _speed(seconds: Sequence[float | None]) -> Speed:
    known = [value for value in seconds if value is not None]
    dropped = len(seconds) - len(known)
    found = percentiles(known, (50, 95))
    if found is None:
        return Speed(0, dropped, None, None, None)
    p50, p95 = found
    return Speed(len(known), dropped, float(np.mean(known)), p50, p95)


def summary_plain(summary: Summary) -> dict[str, Any]:
    """Return a summary as nested plain values for JSON."""
    return to_plain(summary.report) | {
        "curves": {name: list(values) for name, values in summary.curves.items()},
        "per_clip": {score.name: score_plain(score) for score in summary.clips},
        "bdd100k": bdd_plain(summary.bdd100k),
        "youtube_vis": {
            "method": AP_METHOD,
            "stats": summary.tracks.stats,
            "AP_per_category": summary.tracks.per_class,
        },
        "worst_moments": [asdict(worst) for worst in summary.worst_frames],
        "speed": asdict(summary.speed),
    }
