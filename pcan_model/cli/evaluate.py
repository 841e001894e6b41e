"""`pcan-evaluate`: track labelled clips and count as the data sets' official tools do."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pcan_model.cli.arguments import at_least
from pcan_model.core.config import CLASSES
from pcan_model.core.config_limits import CHOICES
from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip
from pcan_model.data.files import write_whole
from pcan_model.data.formats import kitti_mots
from pcan_model.data.registry import FORMATS, open_clips, recognise
from pcan_model.evaluation.metrics.bdd100k import bdd_text
from pcan_model.evaluation.metrics.scores import Report, to_text
from pcan_model.evaluation.predict import Follow, NoAnswer
from pcan_model.evaluation.predictions import Answered, answer, read_answered
from pcan_model.evaluation.real_time import Cost, timing_of
from pcan_model.evaluation.report.images import beside
from pcan_model.evaluation.report.page import Shot, page
from pcan_model.evaluation.report.provenance import provenance, weights_hash
from pcan_model.evaluation.report.published import PUBLISHED
from pcan_model.evaluation.report.summary import Summary, summarise, summary_plain
from pcan_model.evaluation.run import Run, Shard
from pcan_model.evaluation.setup import MODULES, OpenSetup, Setup
from pcan_model.evaluation.submission import SUBMISSIONS, VideoIds, read_ids, write_submission

COUNTED = {"kitti_mots": tuple(kitti_mots.CATEGORIES)}  # classes that a kind of data set labels, if not all
EXPLANATION = """\
Track every clip of a data set (KITTI-MOTS, BDD100K, YouTube-VIS, or images/<video>/*.jpg and
labels/<video>.json) and count per class, over all, and as BDD100K's and YouTube-VIS' official tools do.

  pcan-evaluate pcan_street_tiny --weights street_tiny.safetensors --data drives
  pcan-evaluate models/street_tiny --engine onnx --data drives --jobs 4 --out out

--out writes report.html, report.json and every clip's answer. The same command again uses the answers
that are there, so that it goes on where it was stopped. Machines share the work by --shard; with one
--out for all, or with --merge, the last command counts everything:

  pcan-evaluate … --shard 1/2 --out a;  pcan-evaluate … --shard 2/2 --out b
  pcan-evaluate … --merge a b --out all

  pcan-evaluate models/street_tiny --engine onnx --via node --rate 1 --data drives

--via node writes every clip as a rosbag2 and plays it to a node of its own: the next frame when the
last is answered, so that the figures are those of the files. With --rate R it plays all again in
real time and says what dropped frames and latency cost.

The figures come from TrackEval: pip install scipy && pip install --no-deps trackeval==1.3.0
"""


def evaluate(follow: Follow, clips: Sequence[Clip], classes: Sequence[str] = CLASSES) -> Report:
    """Follow and count clips one by one, each frame read once; only one clip is in memory."""
    with tqdm(total=sum(map(len, clips)), unit="frame", desc="evaluate") as bar:
        return summarise((answer(follow, clip, progress=bar.update) for clip in clips), classes).report


def in_real_time(
    follow: Follow, rate: float, clips: Sequence[Clip], lockstep: Summary, *counted: Any
) -> Cost:
    """Evaluate the same clips again at a multiple of their pace, and set it beside lock-step.

    counted  the classes, and those of them that count, as `summarise` takes them
    """
    latencies: list[Sequence[float | None]] = []

    def answers() -> Iterator[Answered]:
        with tqdm(total=sum(map(len, clips)), unit="frame", desc="in real time") as bar:
            for clip in clips:
                answered = answer(follow, clip, progress=bar.update)
                latencies.append(answered.seconds)
                yield answered

    summary = summarise(answers(), *counted)
    return Cost(timing_of(rate, latencies), lockstep, summary)


def main(arguments: Sequence[str] | None = None, open_setup: OpenSetup = Setup.open) -> int:
    """Run the command; returns 0, or 2 after an error that the user can mend.

    open_setup  loads what is evaluated; the ROS package hands in one that reaches a node
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(words)
    try:
        with _output(options.out) as folder:
            _evaluate(options, words, folder, open_setup)
    except (ValueError, NoAnswer, ImportError, OSError, OverflowError) as error:
        print(f"pcan-evaluate: {error}", file=sys.stderr)
        return 2
    return 0


def _evaluate(options: argparse.Namespace, words: Sequence[str], folder: Path, open_setup: OpenSetup) -> None:
    setup, clips = _setup(options), options.shard.take(_clips(options))
    follow, config = open_setup(replace(setup, rate=0.0))
    run = Run(
        replace(setup, rate=0.0), tuple(clips), folder, weights_hash(setup), config,
        elsewhere=tuple(options.merge), open_setup=open_setup,
    )  # fmt: skip
    reused = run.complete(follow, options.jobs)
    if reused:
        print(f"{reused} of {len(clips)} clips were answered before by the same settings: used again")
    layout, classes = recognise(options.data, options.format).name, run.config.classes
    summary = summarise(run.answers(), classes, COUNTED.get(layout))
    follow_in_time = open_setup(setup)[0] if setup.rate else None
    cost = (
        in_real_time(follow_in_time, setup.rate, clips, summary, classes, COUNTED.get(layout))
        if follow_in_time
        else None
    )
    if options.submit:
        ids = read_ids(options.annotations, classes) if options.annotations else VideoIds()
        write_submission(options.submit, run.answers(), folder / options.submit, classes, ids=ids)
    if options.out:
        data = options.published or (layout if layout in PUBLISHED else None)
        _write(run, summary, words, data, {"in_real_time": cost.plain()} if cost else {})
    print(to_text(summary.report), bdd_text(summary.bdd100k), sep="\n\n")
    if cost:
        print(cost.text())


def _write(run: Run, summary: Summary, words: Sequence[str], data: str | None, more: dict[str, Any]) -> None:
    """Save the report as JSON and as a page, each whole or not at all."""
    origin = provenance(run.setup, run.config.name, run.weights, words)
    plain = {"provenance": asdict(origin), "videos": [clip.name for clip in run.clips]}
    plain |= summary_plain(summary) | more
    write_whole(run.folder / "report.json", (json.dumps(plain, indent=1) + "\n").encode())
    text = page(summary, origin, list(_shots(run, summary)), data=data)
    write_whole(run.folder / "report.html", text.encode())


def _shots(run: Run, summary: Summary) -> Iterator[Shot]:
    """Draw the worst moments."""
    clips = {clip.name: clip for clip in run.clips}
    for moment in summary.moments:
        clip = clips[moment.clip]
        answered = read_answered(run.path(clip), run.key(clip))
        assert answered is not None
        image = clip.frame(moment.frame).image
        truth, said = answered.truth[moment.frame], answered.said[moment.frame]
        yield Shot(moment, beside(image, truth, said, moment))


@contextmanager
def _output(folder: Path | None) -> Iterator[Path]:
    """Give the folder to write to; without one, a temporary one."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="pcan_evaluate_") as name:
            yield Path(name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "pcan-evaluate",
        description=EXPLANATION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _what_answers(parser.add_argument)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of a data set")
    kinds = ("auto", *FORMATS)
    add("--format", choices=kinds, default="auto", help="of the data set (default: by its files)")
    add("--split", help="of the data set's own, such as val (default: all that is labelled)")
    add("--videos", nargs="+", metavar="NAME", help="only these clips (default: all)")
    add(
        "--published",
        choices=sorted(PUBLISHED),
        help="set the paper's figures beside ours (default: by the data)",
    )
    add("--jobs", type=at_least(1), default=1, help="processes, each with a network of its own (default: 1)")
    add("--shard", type=_shard, default=Shard(), metavar="I/N", help="only the I-th of N parts of the clips")
    add("--merge", type=Path, nargs="+", default=(), metavar="OUT", help="use the answers of these runs too")
    add("--out", type=Path, help="folder for report.html, report.json and the answers")
    add("--submit", choices=SUBMISSIONS, help="also write OUT/<format>: official result files")
    add("--annotations", type=Path, help="--submit youtube_vis: file with the videos' and categories' ids")
    return parser


def _what_answers(add: Any) -> None:
    add("model", help="configuration (name or YAML file); a model folder with another --engine than torch")
    add("--weights", type=Path, help="trained weights (.safetensors), for --engine torch")
    add("--engine", choices=("torch", "onnx", "openvino"), default="torch", help="runtime (default: torch)")
    kinds = CHOICES["tracker", "association"]
    add("--association", choices=kinds, help="instead of the configuration's own")
    add("--without", nargs="+", default=(), choices=MODULES, help="switch off (--engine torch)")
    add("--threads", type=at_least(1), default=1, help="of a network; others may round otherwise (1)")
    ways = ("files", "node")
    add("--via", choices=ways, default="files", help="node: a ROS 2 node, in lock-step (default: files)")
    add("--rate", type=at_least(0.0), default=0.0, help="--via node: then in real time at this multiple")


def _clips(options: argparse.Namespace) -> list[Clip]:
    clips = open_clips(options.data, options.format, split=options.split, videos=options.videos)
    if not all(clip.labelled for clip in clips):
        raise DataError(options.data, "labels", "labelled clips, to count against", "pictures only")
    return clips


def _shard(text: str) -> Shard:
    part, slash, of = text.partition("/")
    if not slash or not part.isdigit() or not of.isdigit():
        raise argparse.ArgumentTypeError(f"expected I/N, such as 1/4, got {text!r}")
    return Shard(int(part), int(of))


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


if __name__ == "__main__":
    sys.exit(main())
