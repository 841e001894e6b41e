"""`pcan-bag`: makes, shows, labels and ranks rosbags."""

from __future__ import annotations

import pcan_model.inference.blas  # noqa: F401  before NumPy is loaded

# isort: split
import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pcan_model.cli.arguments import add_options, command_parser, read_options
from pcan_model.cli.rank import rank_clips, table
from pcan_model.cli.run import report_problems, run
from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.fields import settings_of
from pcan_model.data.bags.clip import BagClip
from pcan_model.data.bags.inspect import inspect
from pcan_model.data.bags.reading import BagError
from pcan_model.data.clips import check_inside
from pcan_model.data.listed_times import timed_frames
from pcan_model.data.registry import open_clips
from pcan_model.data.scenes import Scenes, has_scenes
from pcan_ros.bag.options import LabelOptions, MakeOptions, RankBagOptions, ShowOptions
from pcan_ros.bag.sheet import save_sheet

EXPLANATION = """\
Make rosbags (rosbag2, mcap or sqlite3) from data sets and videos, inspect them, label them, and rank
their frames.

  pcan-bag make drive.mp4 --out drive            a video or a folder of images
  pcan-bag make bdd/ --videos b1c66a42 --out b1  a clip of a data set, with its ground truth
  pcan-bag show drive --sheet drive.png          its topics, images, tracks and damage
  pcan-bag label drive --out drive_tracks        a copy with tracks, overlay and label image
  pcan-bag label day1 day2 --out all --ray auto  copies all/day1 and all/day2, on a Ray cluster
  pcan-bag rank drive --count 20 --cvat to_label the images that are most worth labelling
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-bag`; returns the exit code, 1 if part of a bag could not be read."""
    return run("pcan-bag", _run, arguments)


def _run(arguments: Sequence[str]) -> int:
    parsed = _parser().parse_args(arguments)
    kind, work = COMMANDS[parsed.command]
    return work(read_options(kind, parsed))


def _make(options: MakeOptions) -> int:
    from pcan_ros.bag.camera_info import (
        calibration_of,
        read_camera_info,
    )  # imported here: showing a bag needs no ROS
    from pcan_ros.bag.make import BagStyle, make_bag

    clips = open_clips(options.source, options.format, split=options.split, videos=options.videos)
    check_inside(clips, options.out)
    calibration = read_camera_info(options.calibration) if options.calibration else None
    encoding = options.compressed or "rgb8"
    style = BagStyle(
        options.storage, encoding, options.topic, options.frame, calibration, depth=options.depth
    )
    for clip in clips:
        out = options.out / clip.name if len(clips) > 1 else options.out
        frames = timed_frames(clip, options.source, options.rate)
        scenes = Scenes(options.source, clip.name) if has_scenes(options.source, clip.name) else None
        if scenes is not None and options.rate:
            raise BagError(
                f"rate: expected none for {clip.name}, whose geometry has times, got {options.rate}"
            )
        if scenes is not None and calibration is None:
            style = replace(style, calibration=calibration_of(scenes.camera))
        geometry = map(scenes.read, range(len(scenes))) if scenes is not None else ()
        written = make_bag(_progress(frames, clip.count, clip.name), out, style, scenes=geometry)
        if not written:
            raise BagError(f"{options.source}: expected images, got none")
        print(f"written: {out}, {written} images")
    return report_problems("pcan-bag", [problem for clip in clips for problem in clip.problems()])


def _show(options: ShowOptions) -> int:
    report = inspect(options.bag, lambda messages: _progress(messages, None, "reading", "message"))
    print(report.text())
    if options.json:
        write_bytes(options.json, (json.dumps(asdict(report), indent=1) + "\n").encode())
    if options.sheet:
        drawn = save_sheet(options.bag, options.sheet, topic=options.topic, tracks=options.tracks)
        print(f"written: {options.sheet}" + (f", with {drawn}" if drawn else ""))
    return 1 if report.losses else 0


def _label(options: LabelOptions) -> int:
    from pcan_ros.bag.label_bags import label_bags

    complete = True
    for job, done in label_bags(options):
        resumed = f", {done.resumed} of them by an earlier run" if done.resumed else ""
        print(f"written: {job.out}, {done.images} images tracked{resumed}")
        for line in (*(f"lost: {loss}" for loss in done.losses), *(f"not read: {r}" for r in done.refused)):
            print(line)
        complete &= bool(done.images) and not done.losses
    return 0 if complete else 1


def _rank(options: RankBagOptions) -> int:
    clips = [BagClip(bag, topic=options.topic) for bag in options.bags]
    chosen, problems = rank_clips(clips, options)
    print(f"{table(chosen)}\nwritten: {options.out}")
    return report_problems("pcan-bag", problems)


def _progress(items: Iterable[Any], count: int | None, what: str, unit: str = "frame") -> Iterable[Any]:
    return tqdm(items, desc=what, total=count or None, unit=unit, mininterval=0.5)


COMMANDS: dict[str, tuple[Any, Callable[[Any], int]]] = {
    "make": (MakeOptions, _make),
    "show": (ShowOptions, _show),
    "label": (LabelOptions, _label),
    "rank": (RankBagOptions, _rank),
}


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("pcan-bag", EXPLANATION)
    commands = parser.add_subparsers(required=True, metavar="make|show|label|rank", dest="command")
    make = commands.add_parser("make", help="make a bag from a data set, a video or images")
    add_options(make, MakeOptions, positional=("source",), skip=("compressed",), metavars={"videos": "NAME"})
    known = settings_of(MakeOptions)["compressed"]
    make.add_argument("--compressed", nargs="?", choices=known.choices, const="jpeg", help=known.description)
    show = commands.add_parser("show", help="show the contents and the damage of a bag")
    add_options(show, ShowOptions, positional=("bag",), skip=("sheet",), metavars={"json": "FILE"})
    page = settings_of(ShowOptions)["sheet"].description
    show.add_argument("--sheet", "--out", type=Path, metavar="PNG", help=page)
    label = commands.add_parser("label", help="copy bags and add tracks; resumes after an interruption")
    add_options(label, LabelOptions, positional=("bags",), metavars={"bags": "BAG"})
    rank = commands.add_parser("rank", help="choose the images that are most worth labelling")
    add_options(rank, RankBagOptions, positional=("bags",), metavars={"bags": "BAG"})
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
