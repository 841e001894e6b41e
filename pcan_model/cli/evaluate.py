"""`pcan-evaluate`: track labelled clips and compute the data sets' official metrics."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pcan_model.cli.arguments import add_options, command_parser, read_options
from pcan_model.cli.run import run
from pcan_model.evaluation.evaluate import run_evaluation
from pcan_model.evaluation.options import EvaluateOptions
from pcan_model.evaluation.run import Shard
from pcan_model.evaluation.setup import OpenSetup, Setup

EXPLANATION = """\
Track every clip of a data set (KITTI-MOTS, BDD100K, YouTube-VIS, or images/<video>/*.jpg and
labels/<video>.json) and compute metrics per class, over all classes, and as in the official tools of
BDD100K and YouTube-VIS.

  pcan-evaluate pcan_street --weights street.safetensors --data drives
  pcan-evaluate models/street_tiny --engine onnx --data drives --jobs 4 --out out

--out writes report.html, report.json and the predictions of every clip. An interrupted evaluation is
resumed by repeating the command, which reuses existing predictions. --shard divides the work among
machines; with a common --out, or with --merge, the last command evaluates everything:

  pcan-evaluate … --shard 1/2 --out a;  pcan-evaluate … --shard 2/2 --out b
  pcan-evaluate … --merge a b --out all

  pcan-evaluate models/street_tiny --engine onnx --via node --rate 1 --data drives

--via node writes every clip as a rosbag2 and plays it to a separate node, sending each frame after the
result of the previous one, so that the metrics equal those without a node. With --rate R it plays all
clips again in real time and reports the cost of dropped frames and latency.

  pcan-evaluate models/street --engine onnx --data drives --clip-rate 30 --streaming 0.057 0.008 \\
      --latency-budget 0.033

--streaming simulates a tracker that needs this long for a key frame and for a propagated frame: every image
is scored against the tracks that exist when it arrives.

The metrics are computed by TrackEval: pip install scipy && pip install --no-deps trackeval==1.3.0
"""


def main(arguments: Sequence[str] | None = None, open_setup: OpenSetup = Setup.open) -> int:
    """Run `pcan-evaluate`; returns the exit code.

    open_setup  opens the tracker to evaluate; the ROS package passes one that runs a node
    """
    line = list(sys.argv[1:] if arguments is None else arguments)
    return run("pcan-evaluate", lambda line: _evaluate(line, open_setup), line)


def _evaluate(line: Sequence[str], open_setup: OpenSetup) -> None:
    setup, options = read(line)
    done = run_evaluation(setup, options, line, open_setup)
    if done.reused:
        print(f"{done.reused} of {done.clips} clips were answered before by the same settings: used again")
    print(done.text())


def read(line: Sequence[str]) -> tuple[Setup, EvaluateOptions]:
    """Parse a command line."""
    parsed = _parser().parse_args(line)
    return read_options(Setup, parsed), read_options(EvaluateOptions, parsed, shard=parsed.shard)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("pcan-evaluate", EXPLANATION)
    add_options(parser, Setup, positional=("model",))
    add_options(parser, EvaluateOptions, metavars={"videos": "NAME", "merge": "OUT"})
    parser.add_argument(
        "--shard", type=_shard, default=Shard(), metavar="I/N", help="only the I-th of N parts of the clips"
    )
    return parser


def _shard(text: str) -> Shard:
    part, slash, of = text.partition("/")
    if not slash or not part.isdigit() or not of.isdigit():
        raise argparse.ArgumentTypeError(f"expected I/N, such as 1/4, got {text!r}")
    return Shard(int(part), int(of))


if __name__ == "__main__":
    raise SystemExit(main())
