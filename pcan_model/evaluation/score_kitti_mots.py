"""KITTI-MOTS' numbers from result files, by TrackEval's own reader and metrics."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from pcan_model.evaluation.comparison import MissingMetrics
from pcan_model.evaluation.metrics import official_metrics
from pcan_model.formats.labels import DataError

METHOD = "TrackEval's KittiMOTS: masks, match at IoU >= 0.5, ignore regions (class 10)"
Scores = dict[str, dict[str, Any]]  # class to `metric/field` to a number, or mean and per_alpha


def score_kitti_mots(truth: Path, said: Path, seqmap: Path | None = None) -> Scores:
    """Score a folder of `<sequence>.txt` against one; a `label_02` inside the labels' folder is found.

    seqmap   sequences with their lengths, in KITTI's form; without it all of `truth`, to the last line

    Raises DataError for what TrackEval refuses: overlapping masks, an id twice in a frame, missing files.
    """
    inner = truth / "label_02"
    folder = inner if inner.is_dir() else truth
    lengths = _from_seqmap(seqmap) if seqmap else _from_lines(folder, said)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            from trackeval.datasets import KittiMOTS
            from trackeval.utils import TrackEvalException
    except ImportError as error:
        raise MissingMetrics(error) from error
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return _evaluate(KittiMOTS(_options(folder, said, lengths)), said.name)
    except TrackEvalException as error:
        raise DataError(said, "results", "what TrackEval takes", error) from error


def _options(truth: Path, said: Path, lengths: dict[str, int]) -> dict[str, Any]:
    return {
        "GT_FOLDER": str(truth),
        "GT_LOC_FORMAT": "{gt_folder}/{seq}.txt",
        "TRACKERS_FOLDER": str(said.parent),
        "TRACKERS_TO_EVAL": [said.name],
        "TRACKER_SUB_FOLDER": "",
        "SEQ_INFO": lengths,
        "PRINT_CONFIG": False,
    }


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
    """Return a number, or mean and values over the 19 thresholds of HOTA."""
    if np.ndim(value) == 0:
        return float(value)
    return {"mean": float(np.mean(value)), "per_alpha": [float(v) for v in value]}


def _from_seqmap(path: Path) -> dict[str, int]:
    lengths = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        parts = line.split()
        if parts and (len(parts) != 4 or not (parts[0] + parts[3]).isdigit()):
            raise DataError(f"{path}: line {number}", "fields", "sequence, empty, first, last", repr(line))
        if parts:
            lengths[f"{int(parts[0]):04d}"] = int(parts[3]) + 1
    return lengths


def _from_lines(truth: Path, said: Path) -> dict[str, int]:
    names = sorted(path.stem for path in truth.glob("*.txt"))
    if not names:
        raise DataError(truth, "*.txt", "one label file per sequence", "none")
    return {name: 1 + max(_last(folder / f"{name}.txt") for folder in (truth, said)) for name in names}


def _last(path: Path) -> int:
    """Return the last time that a file speaks of."""
    if not path.is_file():
        raise DataError(path, "file", "a sequence's lines", "no such file")
    times = [line.split(maxsplit=1)[0] for line in path.read_text().splitlines() if line.strip()]
    if not all(time.isdigit() for time in times):
        raise DataError(path, "time", "a number in front of every line", "something else")
    return max(map(int, times), default=0)
