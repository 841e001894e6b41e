"""Adapter to TrackEval's tracking metrics, for masks."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.config import CLASSES
from pcan_model.evaluation.metrics.clear import hops
from pcan_model.evaluation.metrics.comparison import (
    MATCH_IOU,
    Compared,
    MissingMetrics,
    Objects,
    compare,
    recall_by_size,
)
from pcan_model.evaluation.metrics.scores import Recall, Report, Score, mean_of


def sequence(frames: Sequence[Compared]) -> dict[str, Any]:
    """Return one class of a clip in the format of TrackEval's metrics."""
    true_ids, true_count = _renumber([frame.true_ids for frame in frames])
    ids, count = _renumber([frame.ids for frame in frames])
    return {
        "num_timesteps": len(frames),
        "num_gt_dets": sum(map(len, true_ids)),
        "num_tracker_dets": sum(map(len, ids)),
        "num_gt_ids": true_count,
        "num_tracker_ids": count,
        "gt_ids": true_ids,
        "tracker_ids": ids,
        "similarity_scores": [frame.iou for frame in frames],
    }


def identity_counts(frames: Sequence[Compared]) -> tuple[int, int, int]:
    """Return IDTP, IDFP and IDFN of one class of a clip."""
    found = official_metrics()[1].eval_sequence(sequence(frames))
    return int(found["IDTP"]), int(found["IDFP"]), int(found["IDFN"])


def _renumber(frames: list[NDArray[np.int64]]) -> tuple[list[NDArray[np.int64]], int]:
    """Renumber identities to 0, 1, …; returns them by frame, and their number."""
    everyone = np.unique(np.concatenate([np.zeros(0, np.int64), *frames]))
    return [np.searchsorted(everyone, ids) for ids in frames], len(everyone)


class Scorer:
    """Accumulates TrackEval's metrics clip by clip."""

    def __init__(self, classes: Sequence[str] = CLASSES) -> None:
        self._classes, self._metrics = tuple(classes), official_metrics()
        self._results: list[list[dict[str, Any]]] = []  # by clip and class: results by metric
        self._hops: list[list[int]] = []  # by clip and class
        self._recalls = [[Recall(0, 0)] * 3 for _ in classes]
        self._frames = 0

    def add(self, ground_truth: Sequence[Objects], predicted: Sequence[Objects]) -> None:
        """Add a clip, given by its ground truth and predictions frame by frame."""
        if len(ground_truth) != len(predicted):
            raise ValueError(f"predictions: expected {len(ground_truth)} frames, got {len(predicted)}")
        clip, hopped = [], []
        for label in range(len(self._classes)):
            frames = [compare(t, s, label) for t, s in zip(ground_truth, predicted, strict=True)]
            data = sequence(frames)
            clip.append({m.get_name(): m.eval_sequence(data) for m in self._metrics})
            hopped.append(hops(frames))
            recalls = zip(self._recalls[label], recall_by_size(frames), strict=True)
            self._recalls[label] = [old + new for old, new in recalls]
        self._results.append(clip)
        self._hops.append(hopped)
        self._frames += len(ground_truth)

    def report(self) -> Report:
        """Return the scores of all clips so far."""
        classes = [
            {m.get_name(): self._over_clips(m, label) for m in self._metrics}
            for label in range(len(self._classes))
        ]
        total = self._over_classes(classes)
        hopped = [sum(clip[label] for clip in self._hops) for label in range(len(self._classes))]
        scores = tuple(map(_score, self._classes, classes, hopped, self._recalls))
        seen = tuple(s for s in scores if s.objects or s.false_positives)
        sizes = [sum(column, Recall(0, 0)) for column in zip(*self._recalls, strict=True)]
        everything = _score("sum of all classes", total, sum(hopped), sizes)
        return Report(method(), len(self._results), self._frames, seen, everything, mean_of(scores))

    def clip_scores(self, names: Sequence[str]) -> tuple[Score, ...]:
        """Return the scores of each clip over all classes; `names` are the clips in the order of `add`."""
        nothing = [Recall(0, 0)] * 3
        return tuple(
            _score(name, self._over_classes(clip), sum(hopped), nothing)
            for name, clip, hopped in zip(names, self._results, self._hops, strict=True)
        )

    def curves(self) -> dict[str, tuple[float, ...]]:
        """Return HOTA, DetA, AssA and LocA over all classes at each of the 19 IoU thresholds."""
        classes = [{"HOTA": self._over_clips(self._metrics[2], label)} for label in range(len(self._classes))]
        total = self._metrics[2].combine_classes_det_averaged(
            {label: figures["HOTA"] for label, figures in enumerate(classes)}
        )
        return {name: tuple(map(float, total[name])) for name in ("HOTA", "DetA", "AssA", "LocA")}

    def _over_classes(self, classes: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {
            m.get_name(): m.combine_classes_det_averaged(
                {label: figures[m.get_name()] for label, figures in enumerate(classes)}
            )
            for m in self._metrics
        }

    def _over_clips(self, metric: Any, label: int) -> dict[str, Any]:
        clips = {str(i): clip[label][metric.get_name()] for i, clip in enumerate(self._results)}
        return cast(dict[str, Any], metric.combine_sequences(clips))


def _score(name: str, figures: dict[str, Any], hopped: int, sizes: Sequence[Recall]) -> Score:
    """Collect the results of the metrics; rates are None without ground-truth objects."""
    clear, hota, objects = figures["CLEAR"], figures["HOTA"], int(figures["Count"]["GT_Dets"])
    rates = {
        "hota": np.mean(hota["HOTA"]),
        "deta": np.mean(hota["DetA"]),
        "assa": np.mean(hota["AssA"]),
        "loca": np.mean(hota["LocA"]) if np.any(hota["HOTA_TP"]) else None,  # TrackEval returns 1
        "smotsa": clear["sMOTA"],
        "motsa": clear["MOTA"],
        "motsp": clear["MOTP"] if clear["CLR_TP"] else None,
        "idf1": figures["Identity"]["IDF1"],
    }
    return Score(
        name=name,
        **{key: _rate(value, objects) for key, value in rates.items()},
        objects=objects,
        id_switches=int(clear["IDSW"]),
        hops=hopped,
        true_positives=int(clear["CLR_TP"]),
        false_positives=int(clear["CLR_FP"]),
        false_negatives=int(clear["CLR_FN"]),
        small=sizes[0],
        medium=sizes[1],
        large=sizes[2],
    )


def _rate(value: Any, objects: int) -> float | None:
    return float(value) if objects and value is not None else None


def official_metrics() -> tuple[Any, ...]:
    """Return TrackEval's CLEAR, Identity, HOTA and Count, silencing its output on import."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            from trackeval import metrics
    except ImportError as error:
        raise MissingMetrics(error) from error
    quiet = {"THRESHOLD": MATCH_IOU, "PRINT_CONFIG": False}
    return metrics.CLEAR(quiet), metrics.Identity(quiet), metrics.HOTA(), metrics.Count()


def method() -> str:
    """Return a description of the method."""
    from importlib.metadata import version

    return f"TrackEval {version('trackeval')}, masks, match at IoU >= {MATCH_IOU}, ignore regions."
