"""Everything that an evaluation says, gathered clip by clip: only figures are kept of a clip."""

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
from pcan_model.evaluation.report.worst_frames import Moment, moments, worst

SHOWN = 10  # worst moments
AP_METHOD = "YouTube-VIS: AP of whole tracks by COCO's rules; ignored regions have no place in it."


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast frames were answered; reading images and labels is not in it."""

    frames: int  # answered
    dropped: int  # in real time
    mean: float | None  # seconds from image to tracks; None without frames
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """One evaluation by every family of metrics."""

    report: Report  # HOTA, CLEAR and identity by TrackEval
    curves: dict[str, tuple[float, ...]]  # HOTA, DetA, AssA, LocA over the 19 IoU thresholds
    clips: tuple[Score, ...]  # every clip, all classes as one
    bdd100k: BddScores  # as BDD100K's official tools average
    tracks: Precision  # YouTube-VIS' AP
    moments: tuple[Moment, ...]  # the worst ones
    speed: Speed


def summarise(
    answers: Iterable[ClipPredictions], known: Sequence[str] = CLASSES, counted: Sequence[str] | None = None
) -> Summary:
    """Count clips one by one.

    known    the classes that labels count
    counted  the classes that the data set labels; objects of others are left out (None: all)
    """
    classes = tuple(known if counted is None else counted)
    scorer, tracks = Scorer(classes), TrackPrecision(dict(enumerate(classes)))
    names, counts, bad = [], [], list[Moment]()
    seconds: list[float | None] = []
    for predictions in answers if counted is None else (one.only(known, classes) for one in answers):
        names.append(predictions.name)
        scorer.add(predictions.ground_truth, predictions.predicted)
        counts.append(count_clip(predictions.ground_truth, predictions.predicted, classes))
        tracks.add(predictions.video())
        bad = worst([*bad, *moments(predictions, len(classes))], SHOWN)
        seconds += predictions.seconds
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
    """Return it as nested plain values for JSON."""
    return to_plain(summary.report) | {
        "curves": {name: list(values) for name, values in summary.curves.items()},
        "per_clip": {score.name: score_plain(score) for score in summary.clips},
        "bdd100k": bdd_plain(summary.bdd100k),
        "youtube_vis": {
            "method": AP_METHOD,
            "stats": summary.tracks.stats,
            "AP_per_category": summary.tracks.per_class,
        },
        "worst_moments": [asdict(moment) for moment in summary.moments],
        "speed": asdict(summary.speed),
    }
