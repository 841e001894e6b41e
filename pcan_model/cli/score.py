"""`pcan-score`: result files against ground-truth files, as the data sets' official tools count."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from pcan_model.cli.arguments import command_parser
from pcan_model.cli.run import run
from pcan_model.core.atomic_write import write_bytes
from pcan_model.evaluation.score import FORMATS, score

EXPLANATION = """\
Score result files against ground-truth files and print the official numbers as JSON.

  kitti_mots       folders of <sequence>.txt with run lengths; HOTA, sMOTSA (CLEAR/sMOTA), IDF1, …
                   by TrackEval
  mot_challenge    boxes: <sequence>/gt/gt.txt (or <sequence>.txt) against <sequence>.txt; HOTA, MOTA, IDF1, …
                   by TrackEval, with the rules of MOT15, MOT17 or MOT20, told by the labels
  bdd100k          Scalabel JSON with run lengths (a file, or a folder of one per video), or folders of RGBA
                   bitmasks; mMOTSA, mMOTSP, mIDF1, ID switches as scalabel and bdd100k count, and mask HOTA
  bdd100k_ins_seg  folders of RGBA bitmasks of single images, with the scores in <results>.json beside the
                   results' folder; AP of masks as bdd100k counts
  youtube_vis      annotation file and results.json; AP of tracks
  coco             annotation file and a list of detections; AP of masks

  pcan-score --format kitti_mots --truth label_02 --results data --seqmap val.seqmap
  pcan-score --format bdd100k --truth bitmasks/val --results bitmasks/mine --out scores.json
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-score`; returns the exit code."""
    return run("pcan-score", _score, arguments)


def _score(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="pcan-score: %(message)s")  # what is left out
    scores = score(options.format, options.ground_truth, options.results, options.seqmap, _note)
    text = json.dumps(scores, indent=1) + "\n"
    if options.out is None:
        print(text, end="")
    else:
        write_bytes(options.out, text.encode())


def _note(line: str) -> None:
    tqdm.write(f"pcan-score: {line}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("pcan-score", EXPLANATION)
    add = parser.add_argument
    add("--format", choices=FORMATS, required=True, help="of both")
    add("--truth", dest="ground_truth", type=Path, required=True, help="ground truth: a file or a folder")
    add("--results", type=Path, required=True, help="what is to be scored, in the same form")
    add("--seqmap", type=Path, help="which sequences, for kitti_mots and mot_challenge (default: all)")
    add("--out", type=Path, help="write the JSON there instead of printing it")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
