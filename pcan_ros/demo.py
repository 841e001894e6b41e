"""`python -m pcan_ros.demo`: a video or bag through the real node over DDS; what it saw as video and report.

clip -> rosbag2 -> player -> DDS -> pcan_tracker -> DDS -> rosbag2 -> overlay, contact sheet, report
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import numpy as np
import yaml
from tqdm import tqdm

from pcan_model.cli.arguments import at_least
from pcan_model.core.errors import DataError
from pcan_model.core.package_files import default_model
from pcan_model.core.stamps import nanoseconds
from pcan_model.core.structures import Tracks
from pcan_model.data.bags.files import ImageBag, write_tracks
from pcan_model.data.bags.reading import BagError
from pcan_model.data.image_decoding import BadImage, decode
from pcan_model.data.listed_times import timed_frames
from pcan_model.data.registry import open_clip
from pcan_model.data.street_clip import bikes
from pcan_model.inference.backends import BACKENDS
from pcan_model.inference.manifest import ModelError, ModelFiles
from pcan_model.visualization.overlay import Picture
from pcan_model.visualization.render import render, save_bytes
from pcan_ros.bag.make import make_bag
from pcan_ros.client.client import Client, ClientError
from pcan_ros.client.player import Played, play_in_lockstep, play_in_time
from pcan_ros.client.process import NodeProcess, node_environment
from pcan_ros.client.report import Report, classes_of, percentiles_of
from pcan_ros.messages import from_tracks

START = 90.0  # seconds that the node may take to load its model


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; returns 1 where a part of the input could not be read, 2 after an error to mend."""
    options = _parser().parse_args(arguments)
    os.environ.update({k: v for k, v in node_environment().items() if "PROFILES_FILE" in k})
    try:
        missing = run(options)
    except (DataError, BagError, ClientError, ModelError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    for problem in missing:
        print(f"demo: {problem}", file=sys.stderr)
    return 1 if missing else 0


def run(options: argparse.Namespace) -> tuple[str, ...]:
    """Bring the input into a bag, play it, draw and report; returns what of the input was missing."""
    out: Path = options.out
    model = options.model or default_model()
    classes = ModelFiles(model).config.classes
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as name:
        folder = out / "images" if options.keep_bag else Path(name) / "images"
        source, bag, missing = _input(options, folder)
        report, played = _play(options, model, source, bag)
        found = [(p.stamp, p.answer.raw) for p in played if p.answer]
        write_tracks(found, out / "tracks")
        _draw(bag, played, classes, out)
    save_bytes(out / "report.json", (json.dumps(asdict(report), indent=1) + "\n").encode())
    print(report.text())
    print(f"written: {out}/overlay.mp4, contact_sheet.png, report.json, tracks (rosbag2)")
    return missing


def _input(options: argparse.Namespace, folder: Path) -> tuple[str, ImageBag, tuple[str, ...]]:
    """Return the name of what is shown, a bag of it, and what is missing."""
    if options.bag:
        bag = ImageBag(options.bag, options.topic)
        return str(options.bag), bag, tuple(map(str, bag.losses))
    source = options.video or bikes(options.data)
    clip = open_clip(source)
    make_bag(_progress(timed_frames(clip, source), clip.count, "to rosbag2"), folder)
    return str(source), ImageBag(folder), clip.problems()


def _play(
    options: argparse.Namespace, model: Path, source: str, bag: ImageBag
) -> tuple[Report, list[Played]]:
    namespace = f"/pcan_demo_{os.getpid()}"  # nobody else's topics
    parameters = {
        "model": str(model.resolve()),
        "backend": options.backend,
        "cameras": [f"{namespace}/image"],
        "compressed": bag.compressed,
        "reliability": "reliable",
        **dict(options.set),
    }
    with (
        NodeProcess(parameters, namespace=namespace) as node,
        Client(
            image_topic=f"{namespace}/image", outputs=f"{namespace}/pcan_tracker", compressed=bag.compressed
        ) as client,
    ):
        try:
            client.find_node(START, node.alive)
            records = _progress(bag.records(), bag.count, "through the node")
            if options.rate:
                played = play_in_time(records, client, node.alive, options.rate)
            else:
                played = play_in_lockstep(records, client, node.alive)
        except ClientError as error:
            raise ClientError(f"{error}; the node's last word: {_last_line(node.log())}") from error
        return _report(options, model, source, played, client), played


def _report(
    options: argparse.Namespace, model: Path, source: str, played: list[Played], client: Client
) -> Report:
    answered = [p.answer for p in played if p.answer]
    duration = max((a.time for a in answered), default=0.0) - min((p.sent for p in played), default=0.0)
    classes = classes_of(answer.message for answer in answered)
    lockstep = "in lock-step (the next image when the last is answered)"
    return Report(
        source=source,
        model=model.name,
        backend=client.statuses[-1].backend if client.statuses else "unknown",
        pacing=f"in real time, {options.rate:g} x" if options.rate else lockstep,
        frames_in=len(played),
        frames_out=len(answered),
        frames_dropped=len(played) - len(answered),
        frames_per_second=round(len(answered) / duration, 2) if duration > 0 else 0.0,
        tracks=sum(c.tracks for c in classes.values()),
        classes=classes,
        round_trip_ms=percentiles_of(p.round_trip for p in played if p.round_trip is not None),
        processing_ms=percentiles_of(s.processing_latency for s in client.statuses),
    )


def _draw(bag: ImageBag, played: list[Played], classes: tuple[str, ...], out: Path) -> None:
    """Draw what came back over the wire, not what was meant."""
    answers = {nanoseconds(p.answer.message.header.stamp): p.answer.message for p in played if p.answer}

    def frames() -> Iterator[tuple[Picture, Tracks | None]]:
        for record in _progress(bag.records(), bag.count, "drawing"):
            try:
                picture = decode(record.message)
            except BadImage:
                continue  # the node said so already
            message = answers.get(record.stamp)
            yield picture, from_tracks(message) if message else None

    gaps = np.diff([p.stamp for p in played]) * 1e-9
    rate = float(1 / np.median(gaps)) if len(gaps) and np.median(gaps) > 0 else 10.0
    video, sheet = out / "overlay.mp4", out / "contact_sheet.png"
    render(frames(), classes, rate=min(rate, 60.0), video=video, sheet=sheet)


T = TypeVar("T")


def _progress(items: Iterator[T], count: int | None, what: str) -> Iterator[T]:
    yield from tqdm(items, desc=f"{what:17}", total=count, unit="frame", mininterval=0.5)


def _assignment(text: str) -> tuple[str, object]:
    """Read `tracker.init_score=0.4`."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, yaml.safe_load(value)


def _last_line(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pcan_ros.demo", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, default=Path("demo"), help="folder to write (default: demo)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--video", type=Path, help="video file or folder of images (default: a street clip)")
    source.add_argument("--bag", type=Path, help="rosbag2 with an image topic")
    add("--topic", default="", help="image topic of the bag (default: the camera's)")
    add("--data", type=Path, default=Path("data"), help="folder for downloads (default: data)")
    add("--model", type=Path, help="folder of an exported model (default: models/pcan_street_tiny)")
    add("--backend", choices=BACKENDS, default="auto", help="what runs the network (default: auto)")
    add(
        "--set",
        type=_assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a node's parameter",
    )
    add("--rate", type=at_least(0.0), default=0.0, help="play in real time at this multiple, drops and all")
    add("--keep-bag", action="store_true", help="keep the rosbag2 made of the video, as OUT/images")
    return parser


if __name__ == "__main__":
    sys.exit(main())
