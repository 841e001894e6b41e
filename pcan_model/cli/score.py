"""`pcan-score`: score result files against ground truth, with the metrics of the official tools."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from pcan_model.cli.arguments import add_options, command_parser, read_options
from pcan_model.cli.run import run
from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.fields import about, setting
from pcan_model.evaluation.score import FORMATS, score

EXPLANATION = """\
Score result files against ground-truth files and print the official metrics as JSON.

  kitti_mots       folders of <sequence>.txt with run lengths; HOTA, sMOTSA (CLEAR/sMOTA), IDF1, …
                   by TrackEval
  mot_challenge    boxes: <sequence>/gt/gt.txt (or <sequence>.txt) against <sequence>.txt; HOTA, MOTA, IDF1, …
                   by TrackEval, with the rules of MOT15, MOT17 or MOT20, recognised by the labels
  bdd100k          Scalabel JSON with run lengths (a file, or a folder of one per video), or folders of RGBA
                   bitmasks; mMOTSA, mMOTSP, mIDF1, ID switches as in scalabel and bdd100k, and mask HOTA
  bdd100k_ins_seg  folders of RGBA bitmasks of single images, with the scores in <results>.json beside the
                   results' folder; mask AP as in bdd100k
  youtube_vis      annotation file and results.json; track AP
  coco             annotation file and a list of detections; mask AP

  pcan-score --format kitti_mots --ground-truth label_02 --results data --seqmap val.seqmap
  pcan-score --format bdd100k --ground-truth bitmasks/val --results bitmasks/mine --out scores.json
"""


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """The files to compare."""

    format: str = field(metadata=about("format of both", choices=FORMATS))
    ground_truth: Path = field(metadata=about("ground truth: a file or a folder", aliases=("--truth",)))
    results: Path = field(metadata=about("results to score, in the same format"))
    seqmap: Path | None = setting(None, "list of sequences, for kitti_mots and mot_challenge (default: all)")
    out: Path | None = setting(None, "file to write the JSON to (default: standard output)", writes=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-score`; returns the exit code."""
    return run("pcan-score", _score, arguments)


def _score(arguments: Sequence[str]) -> None:
    options = read_options(ScoreOptions, _parser().parse_args(arguments))
    logging.basicConfig(format="pcan-score: %(message)s")  # warnings about skipped content
    scores = score(options.format, options.ground_truth, options.results, options.seqmap, _log)
    text = json.dumps(scores, indent=1) + "\n"
    if options.out is None:
        print(text, end="")
    else:
        write_bytes(options.out, text.encode())


def _log(line: str) -> None:
    tqdm.write(f"pcan-score: {line}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("pcan-score", EXPLANATION)
    add_options(parser, ScoreOptions)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
