"""Scoring of result files against ground truth, as in the official tools of the data sets."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pcan_model.core.config import CLASSES
from pcan_model.evaluation.metrics.bdd100k import bdd_plain, bdd_scores, count_clip
from pcan_model.evaluation.metrics.scores import to_plain
from pcan_model.evaluation.metrics.tracking import Scorer
from pcan_model.evaluation.result_files.bdd100k import read_pair
from pcan_model.evaluation.result_files.ins_seg import METHOD as INS_SEG_METHOD
from pcan_model.evaluation.result_files.ins_seg import score_ins_seg
from pcan_model.evaluation.result_files.kitti_mots import METHOD, score_kitti_mots
from pcan_model.evaluation.result_files.mot_challenge import score_mot_challenge
from pcan_model.evaluation.result_files.youtube_vis import (
    COCO_METHOD,
    VIS_METHOD,
    precision_plain,
    score_coco,
    score_youtube_vis,
)

FORMATS = ("kitti_mots", "mot_challenge", "bdd100k", "bdd100k_ins_seg", "youtube_vis", "coco")
Log = Callable[[str], object]


def score(
    kind: str, ground_truth: Path, results: Path, seqmap: Path | None = None, log: Log | None = None
) -> dict[str, Any]:
    """Return the official scores of a format as nested plain values, with the method.

    kind     one of FORMATS
    seqmap   list of sequences, for kitti_mots and mot_challenge; None for all
    log      called with a line about unusual content; by default written to stderr
    """
    if kind == "kitti_mots":
        return {"method": METHOD, "per_class": score_kitti_mots(ground_truth, results, seqmap)}
    if kind == "mot_challenge":
        method, scores = score_mot_challenge(ground_truth, results, seqmap)
        return {"method": method, "per_class": scores}
    if kind == "bdd100k":
        return _bdd100k(ground_truth, results, log or _warn)
    if kind == "bdd100k_ins_seg":
        return {"method": INS_SEG_METHOD} | precision_plain(score_ins_seg(ground_truth, results))
    if kind == "youtube_vis":
        return {"method": VIS_METHOD} | precision_plain(score_youtube_vis(ground_truth, results))
    return {"method": COCO_METHOD} | precision_plain(score_coco(ground_truth, results))


def _warn(line: str) -> None:
    tqdm.write(line, file=sys.stderr)


def _bdd100k(ground_truth: Path, results: Path, log: Log) -> dict[str, Any]:
    """Score clip by clip; mask HOTA, which the official tools lack, is from TrackEval."""
    counts, scorer = [], Scorer(CLASSES)
    for clip in tqdm(read_pair(ground_truth, results), unit="clip", disable=None):
        for line in clip.notes:
            log(line)
        counts.append(count_clip(clip.ground_truth, clip.predicted))
        scorer.add(clip.ground_truth, clip.predicted)
    return bdd_plain(bdd_scores(counts)) | {"trackeval": to_plain(scorer.report())}
