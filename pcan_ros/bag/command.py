"""`pcan-bag`: make, show and label rosbags."""

from __future__ import annotations

import pcan_model.inference.blas  # noqa: F401  before whatever loads NumPy

# isort: split
import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pcan_model.cli.arguments import at_least
from pcan_model.core.config import ConfigError
from pcan_model.core.errors import DataError
from pcan_model.data.bags.inspect import inspect
from pcan_model.data.bags.reading import BagError
from pcan_model.data.listed_times import timed_frames
from pcan_model.data.registry import FORMATS, open_clips
from pcan_model.visualization.render import save_bytes
from pcan_ros.bag.sheet import save_sheet

EXPLANATION = """\
Rosbags (rosbag2, mcap or sqlite3) made of data sets and videos, looked through, and labelled.

  pcan-bag make drive.mp4 --out drive            a video or a folder of images
  pcan-bag make bdd/ --videos b1c66a42 --out b1  a clip of a data set, with its ground truth
  pcan-bag show drive --sheet drive.png          what is in it, what is wrong with it
  pcan-bag label drive --out drive_tracks        a copy with tracks, overlay and label image
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, 1 where something was lost or nothing tracked, 2 after an error to mend."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except ImportError as error:
        need = "make and label need ROS 2: source a distribution, or `make env` and `. tools/env.sh`"
        print(f"pcan-bag: {error}; {need}", file=sys.stderr)
        return 2
    except (BagError, DataError, ConfigError, ValueError, OSError) as error:
        print(f"pcan-bag: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("pcan-bag: interrupted", file=sys.stderr)
        return 130


def _make(options: argparse.Namespace) -> int:
    from pcan_ros.bag.camera_info import read_camera_info  # only now: showing a bag needs no ROS
    from pcan_ros.bag.make import BagStyle, make_bag

    clips = open_clips(options.source, options.format, split=options.split, videos=options.videos)
    calibration = read_camera_info(options.calibration) if options.calibration else None
    style = BagStyle(options.storage, options.compressed or "rgb8", options.topic, options.frame, calibration)
    for clip in clips:
        out = options.out / clip.name if len(clips) > 1 else options.out
        frames = timed_frames(clip, options.source, options.rate)
        written = make_bag(_progress(frames, clip.count, clip.name), out, style)
        if not written:
            raise BagError(f"{options.source}: expected pictures, got none")
        print(f"written: {out}, {written} images")
    problems = [problem for clip in clips for problem in clip.problems()]
    for problem in problems:
        print(f"pcan-bag: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _show(options: argparse.Namespace) -> int:
    report = inspect(options.bag, lambda messages: _progress(messages, None, "reading", "message"))
    print(report.text())
    if options.json:
        save_bytes(options.json, (json.dumps(asdict(report), indent=1) + "\n").encode())
    if options.sheet:
        drawn = save_sheet(options.bag, options.sheet, topic=options.topic, tracks=options.tracks)
        print(f"written: {options.sheet}" + (f", with {drawn}" if drawn else ""))
    return 1 if report.losses else 0


def _label(options: argparse.Namespace) -> int:
    from pcan_model.core.package_files import default_model
    from pcan_model.inference.backends import EngineOptions, open_engine
    from pcan_model.inference.manifest import ModelFiles
    from pcan_model.model.pass_names import GRAPHS
    from pcan_model.tracking.tracker import Tracker
    from pcan_ros.bag.copy import CopyStyle
    from pcan_ros.bag.label import label_bag

    files = ModelFiles(options.model or default_model())
    engine = open_engine(files.folder, EngineOptions(options.backend, threads=options.threads)).engine
    style = CopyStyle(options.storage, options.prefix, options.raw, not options.no_pictures)
    done = label_bag(
        options.bag,
        options.out,
        Tracker(engine),
        model=" ".join((engine.facts.engine, *(files.digest(name) for name in GRAPHS))),
        topics=tuple(options.topics),
        style=style,
        progress=lambda items, count, what: _progress(items, count, what, "message"),
    )
    resumed = f", {done.resumed} of them by an earlier run" if done.resumed else ""
    print(f"written: {options.out}, {done.images} images tracked{resumed}")
    for line in (*(f"lost: {loss}" for loss in done.losses), *(f"not read: {r}" for r in done.refused)):
        print(line)
    return 1 if done.losses or not done.images else 0


def _progress(items: Iterable[Any], count: int | None, what: str, unit: str = "frame") -> Iterable[Any]:
    return tqdm(items, desc=what, total=count or None, unit=unit, mininterval=0.5)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "pcan-bag", description=EXPLANATION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="make|show|label")
    _add_make(commands.add_parser("make", help="a data set, a video or images as a bag"))
    _add_show(commands.add_parser("show", help="what is in a bag, and what is wrong with it"))
    _add_label(commands.add_parser("label", help="a copy of a bag with tracks; goes on after a kill"))
    return parser


def _add_make(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    parser.set_defaults(run=_make)
    add("source", type=Path, help="data set, video, or folder of images")
    add("--out", type=Path, required=True, help="bag to write; a folder of bags for several clips")
    kinds = ("auto", *FORMATS)
    add("--format", choices=kinds, default="auto", help="of the data set (default: by its files)")
    add("--split", help="of the data set's own, such as val (default: all that is labelled)")
    add("--videos", nargs="+", metavar="NAME", help="only these clips of a data set (default: all)")
    add("--storage", choices=("mcap", "sqlite3"), default="mcap", help="(default: mcap)")
    kinds = ("jpeg", "png")
    add(
        "--compressed",
        nargs="?",
        choices=kinds,
        const="jpeg",
        help="CompressedImage (default: jpeg)",
    )
    add(
        "--rate",
        type=at_least(0.0),
        default=0.0,
        help="images a second (default: the source's, else 10)",
    )
    add("--topic", default="/camera/image", help="of the images (default: /camera/image)")
    add("--frame", default="camera", help="frame_id (default: camera)")
    add("--calibration", type=Path, help="camera_calibration YAML or KITTI calib file for CameraInfo")


def _add_show(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    parser.set_defaults(run=_show)
    add("bag", type=Path, help="rosbag2 folder, or one of its files; need not be whole")
    add("--json", type=Path, metavar="FILE", help="write the report as JSON, too")
    add(
        "--sheet",
        "--out",
        type=Path,
        metavar="PNG",
        help="page of images with their tracks",
    )
    add("--topic", default="", help="images of the page (default: the camera's)")
    add("--tracks", default="", help="tracks of the page (default: the topic that fits most images)")


def _add_label(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    parser.set_defaults(run=_label)
    add("bag", type=Path, help="rosbag2 with images; need not be whole")
    add("--out", type=Path, required=True, help="bag to write")
    add(
        "--topics",
        nargs="+",
        default=(),
        help="image topics (default: the camera's: colour, else grey, else 16UC1)",
    )
    add("--model", type=Path, help="folder of an exported model (default: pcan_street_tiny)")
    add("--backend", default="auto", help="what runs the network (default: auto)")
    add("--threads", type=at_least(0), default=0, help="CPU threads, 0 for one per core")
    add("--storage", choices=("mcap", "sqlite3"), default="mcap", help="(default: mcap)")
    add("--prefix", default="/pcan_tracker", help="of the new topics (default: /pcan_tracker)")
    add("--raw", action="store_true", help="pictures as Image (default: CompressedImage, jpeg and png)")
    add("--no-pictures", action="store_true", help="tracks only")


if __name__ == "__main__":
    sys.exit(main())
