"""`pcan-score`: result files against ground-truth files, as the data sets' official tools count."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
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
EXPLANATION = """\
Score result files against ground-truth files and print the official numbers as JSON.

  kitti_mots       folders of <sequence>.txt with run lengths; HOTA, sMOTSA (CLEAR/sMOTA), IDF1, …
                   by TrackEval
  mot_challenge    boxes: <sequence>/gt/gt.txt (or <sequence>.txt) against <sequence>.txt; HOTA, MOTA, IDF1, …
                   by TrackEval, with the rules of MOT15, MOT17 or MOT20, told by the labels
  bdd100k          Scalabel JSON with run lengths (a file, or a folder of one per video), or folders of RGBA
                   bitmasks; mMOTSA, mMOTSP, mIDF1, ID switches as scalabel and bdd100k count, and mask HOTA
  bdd100k_ins_seg  folders of RGBA bitmasks of single pictures, with the scores in <results>.json beside the
                   results' folder; AP of masks as bdd100k counts
  youtube_vis      annotation file and results.json; AP of tracks
  coco             annotation file and a list of detections; AP of masks

  pcan-score --format kitti_mots --truth label_02 --results data --seqmap val.seqmap
  pcan-score --format bdd100k --truth bitmasks/val --results bitmasks/mine --out scores.json
"""


def score(kind: str, truth: Path, results: Path, seqmap: Path | None = None) -> dict[str, Any]:
    """Return the official numbers of one format as nested plain values, and the method."""
    if kind == "kitti_mots":
        return {"method": METHOD, "per_class": score_kitti_mots(truth, results, seqmap)}
    if kind == "mot_challenge":
        method, scores = score_mot_challenge(truth, results, seqmap)
        return {"method": method, "per_class": scores}
    if kind == "bdd100k":
        return _bdd100k(truth, results)
    if kind == "bdd100k_ins_seg":
        return {"method": INS_SEG_METHOD} | precision_plain(score_ins_seg(truth, results))
    if kind == "youtube_vis":
        return {"method": VIS_METHOD} | precision_plain(score_youtube_vis(truth, results))
    return {"method": COCO_METHOD} | precision_plain(score_coco(truth, results))


def _bdd100k(truth: Path, results: Path) -> dict[str, Any]:
    """Count clip by clip; mask HOTA, which no official tool has, comes from TrackEval."""
    counts, scorer = [], Scorer(CLASSES)
    for clip in tqdm(read_pair(truth, results), unit="clip", disable=None):
        for note in clip.notes:
            tqdm.write(f"pcan-score: {note}", file=sys.stderr)
        counts.append(count_clip(clip.truth, clip.said))
        scorer.add(clip.truth, clip.said)
    return bdd_plain(bdd_scores(counts)) | {"trackeval": to_plain(scorer.report())}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 2 after an error that the user can mend."""
    options = _parser().parse_args(arguments)
    try:
        scores = score(options.format, options.truth, options.results, options.seqmap)
    except (DataError, ImportError, OSError) as error:
        print(f"pcan-score: {error}", file=sys.stderr)
        return 2
    text = json.dumps(scores, indent=1) + "\n"
    if options.out is None:
        print(text, end="")
        return 0
    partial = options.out.with_name(f".{options.out.name}.part")
    partial.write_text(text)
    partial.replace(options.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "pcan-score", description=EXPLANATION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--format", choices=FORMATS, required=True)
    add("--truth", type=Path, required=True, help="ground truth: a file or a folder")
    add("--results", type=Path, required=True, help="what is to be scored, in the same form")
    add("--seqmap", type=Path, help="which sequences, for kitti_mots and mot_challenge (default: all)")
    add("--out", type=Path, help="write the JSON there instead of printing it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
