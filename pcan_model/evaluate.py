"""`pcan-evaluate`: track labelled clips from files and count with the official metrics."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pcan_model.config import CHOICES, CLASSES
from pcan_model.data.clips import Clip, DataError, LabeledFrame
from pcan_model.data.layouts import FORMATS, open_clips
from pcan_model.evaluation.comparison import Objects, labelled, predicted
from pcan_model.evaluation.metrics import Scorer
from pcan_model.evaluation.real_time import Cost, timing_of, watched
from pcan_model.evaluation.report import Report, to_plain, to_text
from pcan_model.evaluation.setup import MODULES, Follow, NoAnswer, Setup

EXPLANATION = """\
Track every clip of a data set (KITTI-MOTS, BDD100K, YouTube-VIS, or images/<video>/*.jpg and
labels/<video>.json) and print sMOTSA, MOTSA, MOTSP, IDF1, HOTA, ID switches and recall by size per class.

  pcan-evaluate pcan_street_tiny --weights street_tiny.safetensors --data drives
  pcan-evaluate models/street_tiny --engine onnx --data drives --videos a b --out report.json

  pcan-evaluate models/street_tiny --engine onnx --via node --rate 1 --data drives

--via node writes every clip as a rosbag2 and plays it to a node of its own: the next frame when the
last is answered, so that the figures are those of the files. With --rate R it plays all again in
real time and says what dropped frames and latency cost.

The figures come from TrackEval: pip install scipy && pip install --no-deps trackeval==1.3.0
"""


def evaluate_clip(follow: Follow, clip: Clip) -> tuple[Objects, ...]:
    """Return what is said of each frame of a clip, from an empty state."""
    return tuple(predicted(answer.tracks) for answer in follow(clip))


def score(
    clips: Sequence[Clip],
    predictions: Sequence[Sequence[Objects]],
    classes: Sequence[str] = CLASSES,
) -> Report:
    """Count predictions against the labels of their clips, one sequence of frames per clip."""
    scorer = Scorer(classes)
    for clip, said in zip(clips, predictions, strict=True):
        scorer.add(truth_of(clip), said)
    return scorer.report()


def truth_of(clip: Clip) -> tuple[Objects, ...]:
    """Return the labels of every frame of a clip."""
    return tuple(_truth(clip.frame(index)) for index in range(len(clip)))


def _truth(frame: LabeledFrame) -> Objects:
    return labelled(frame.masks, frame.labels, frame.ids, frame.ignore)


def evaluate(follow: Follow, clips: Sequence[Clip], classes: Sequence[str] = CLASSES) -> Report:
    """Follow and count clips one by one, each frame read once; only one clip is in memory."""
    scorer = Scorer(classes)
    with tqdm(total=sum(map(len, clips)), unit="frame", desc="evaluate") as bar:
        for clip in clips:
            bar.set_postfix_str(clip.name)
            truth, said = [], []
            for answer in follow(clip):
                truth.append(_truth(answer.labeled))
                said.append(predicted(answer.tracks))
                bar.update()
            scorer.add(truth, said)
    return scorer.report()


def in_real_time(setup: Setup, clips: Sequence[Clip], lockstep: Report) -> Cost:
    """Evaluate the same clips again at the setup's rate, and set it beside lock-step."""
    follow, config = setup.open()
    latencies: list[list[float | None]] = []
    report = evaluate(watched(follow, latencies), clips, config.classes)
    return Cost(timing_of(setup.rate, latencies), lockstep, report)


def write_report(path: Path, report: Report, provenance: dict[str, Any]) -> None:
    """Save the report as JSON with where it comes from, whole or not at all."""
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(json.dumps(provenance | to_plain(report), indent=1) + "\n")
    partial.replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 2 after an error that the user can mend."""
    options = _parser().parse_args(arguments)
    try:
        clips = _clips(options)
        setup = _setup(options)
        follow, config = replace(setup, rate=0.0).open()
        report = evaluate(follow, clips, config.classes)
        cost = in_real_time(setup, clips, report) if setup.rate else None
    except (ValueError, NoAnswer, ImportError, OSError) as error:
        print(f"pcan-evaluate: {error}", file=sys.stderr)
        return 2
    print(to_text(report))
    if cost:
        print(cost.text())
    if options.out:
        more = {"in_real_time": cost.plain()} if cost else {}
        write_report(options.out, report, _provenance(options, arguments, clips) | more)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "pcan-evaluate",
        description=EXPLANATION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", help="configuration (name or YAML file); a model folder with another --engine than torch")
    add("--weights", type=Path, help="trained weights (.safetensors), for --engine torch")
    add("--engine", choices=("torch", "onnx", "openvino"), default="torch", help="runtime (default: torch)")
    kinds = CHOICES["tracker", "association"]
    add("--association", choices=kinds, help="instead of the configuration's own")
    add("--without", nargs="+", default=(), choices=MODULES, help="switch off (--engine torch)")
    add(
        "--threads",
        type=int,
        default=1,
        help="of the network; other numbers may round otherwise (default: 1)",
    )
    ways = ("files", "node")
    add(
        "--via",
        choices=ways,
        default="files",
        help="node: through a ROS 2 node, in lock-step (default: files)",
    )
    add("--rate", type=float, default=0.0, help="--via node: then again in real time at this multiple")
    add("--data", type=Path, required=True, help="folder of a data set")
    kinds = ("auto", *FORMATS)
    add("--format", choices=kinds, default="auto", help="of the data set (default: by its files)")
    add("--split", help="of the data set's own, such as val (default: all that is labelled)")
    add("--videos", nargs="+", metavar="NAME", help="only these clips (default: all)")
    add("--out", type=Path, help="also write the report as JSON")
    return parser


def _clips(options: argparse.Namespace) -> list[Clip]:
    clips = open_clips(options.data, options.format, split=options.split, videos=options.videos)
    if not all(clip.labelled for clip in clips):
        raise DataError(options.data, "labels", "labelled clips, to count against", "pictures only")
    return clips


def _setup(options: argparse.Namespace) -> Setup:
    return Setup(
        options.model,
        options.engine,
        options.weights,
        association=options.association,
        without=tuple(options.without),
        threads=options.threads,
        via=options.via,
        rate=options.rate,
    )


def _provenance(
    options: argparse.Namespace, arguments: Sequence[str] | None, clips: Sequence[Clip]
) -> dict[str, Any]:
    """Say which command, weights and clips a report is of."""
    words = sys.argv[1:] if arguments is None else arguments
    weights = options.weights
    return {
        "command": shlex.join(["pcan-evaluate", *words]),
        "weights_sha256": sha256(weights.read_bytes()).hexdigest() if weights else None,
        "videos": [clip.name for clip in clips],
    }


if __name__ == "__main__":
    sys.exit(main())
