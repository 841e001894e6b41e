"""Scores of files with one of TrackEval's data sets: its reader, rules and metrics."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pcan_model.core.errors import DataError
from pcan_model.evaluation.metrics.comparison import MissingMetrics
from pcan_model.evaluation.metrics.tracking import official_metrics

Scores = dict[str, dict[str, Any]]  # by class and `metric/field`: a number, or mean and per_alpha


def official_scores(
    data_set: str, ground_truth: Path, predicted: Path, settings: Mapping[str, Any], *, source: Path
) -> Scores:
    """Score a folder of `<sequence>.txt`, combining all sequences.

    data_set  name of TrackEval's class
    settings  of that class, apart from the paths
    source    path of the results, for error messages

    Raises DataError for what TrackEval rejects.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            from trackeval import datasets
            from trackeval.utils import TrackEvalException
    except ImportError as error:
        raise MissingMetrics(error) from error
    paths = {
        "GT_FOLDER": str(ground_truth),
        "TRACKERS_FOLDER": str(predicted.parent),
        "TRACKERS_TO_EVAL": [predicted.name],
        "TRACKER_SUB_FOLDER": "",
        "PRINT_CONFIG": False,
    }
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return _evaluate(getattr(datasets, data_set)(paths | dict(settings)), predicted.name)
    except TrackEvalException as error:
        raise DataError(source, "results", "what TrackEval takes", error) from error


def _evaluate(data: Any, tracker: str) -> Scores:
    metrics = official_metrics()
    results: dict[str, dict[str, dict[str, Any]]] = {}  # class, metric, sequence
    for sequence in data.seq_list:
        raw = data.get_raw_seq_data(tracker, sequence)
        for name in data.class_list:
            one = data.get_preprocessed_seq_data(raw, name)
            for metric in metrics:
                found = results.setdefault(name, {}).setdefault(metric.get_name(), {})
                found[sequence] = metric.eval_sequence(one)
    return {
        name: {
            f"{metric.get_name()}/{key}": _plain(value)
            for metric in metrics
            for key, value in metric.combine_sequences(by_metric[metric.get_name()]).items()
        }
        for name, by_metric in results.items()
    }


def _plain(value: Any) -> Any:
    """Return a number, or the mean and the values at HOTA's 19 thresholds."""
    if np.ndim(value) == 0:
        return float(value)
    return {"mean": float(np.mean(value)), "per_alpha": [float(v) for v in value]}
