"""Result files against ground-truth files, counted as the data sets' official tools do."""

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
Note = Callable[[str], object]


def score(
    kind: str, ground_truth: Path, results: Path, seqmap: Path | None = None, note: Note | None = None
) -> dict[str, Any]:
    """Return the official numbers of one format as nested plain values, and the method.

    kind     one of FORMATS
    seqmap   which sequences, for kitti_mots and mot_challenge; None for all
    note     takes in a line what was found to be unusual, clip by clip; None: stderr
    """
    if kind == "kitti_mots":
        return {"method": METHOD, "per_class": score_kitti_mots(ground_truth, results, seqmap)}
    if kind == "mot_challenge":
        method, scores = score_mot_challenge(ground_truth, results, seqmap)
        return {"method": method, "per_class": scores}
    if kind == "bdd100k":
        return _bdd100k(ground_truth, results, note or _warn)
    if kind == "bdd100k_ins_seg":
        return {"method": INS_SEG_METHOD} | precision_plain(score_ins_seg(ground_truth, results))
    if kind == "youtube_vis":
        return {"method": VIS_METHOD} | precision_plain(score_youtube_vis(ground_truth, results))
    return {"method": COCO_METHOD} | precision_plain(score_coco(ground_truth, results))


def _warn(line: str) -> None:
    tqdm.write(line, file=sys.stderr)


def _bdd100k(ground_truth: Path, results: Path, note: Note) -> dict[str, Any]:
    """Count clip by clip; mask HOTA, which no official tool has, comes from TrackEval."""
    counts, scorer = [], Scorer(CLASSES)
    for clip in tqdm(read_pair(ground_truth, results), unit="clip", disable=None):
        for line in clip.notes:
            note(line)
        counts.append(count_clip(clip.ground_truth, clip.predicted))
        scorer.add(clip.ground_truth, clip.predicted)
    return bdd_plain(bdd_scores(counts)) | {"trackeval": to_plain(scorer.report())}
