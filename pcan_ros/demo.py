"""`python -m pcan_ros.demo`: plays a video or bag through the node; writes overlay video and report.

clip -> rosbag2 -> player -> DDS -> pcan_tracker -> DDS -> rosbag2 -> overlay, contact sheet, report
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from pcan_model.cli.arguments import add_options, command_parser, read_options
from pcan_model.cli.run import report_problems, run
from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.fields import setting
from pcan_model.core.package_files import default_model
from pcan_model.core.stamps import nanoseconds
from pcan_model.core.structures import Tracks
from pcan_model.core.yaml_text import YamlTextError, parse_yaml
from pcan_model.data.bags.files import ImageBag, write_tracks
from pcan_model.data.image_decoding import BadImage, decode
from pcan_model.data.listed_times import timed_frames
from pcan_model.data.registry import open_clip
from pcan_model.data.street_clip import bikes
from pcan_model.inference.backends import BACKENDS
from pcan_model.inference.input_size import DESCRIPTION
from pcan_model.inference.manifest import ModelFiles
from pcan_model.lifting.ground_plane import FlatRoad
from pcan_model.visualization.from_above import basis_of, view_of
from pcan_model.visualization.overlay import RgbImage
from pcan_model.visualization.render import render
from pcan_ros.bag.make import make_bag
from pcan_ros.client.client import Client, ClientError
from pcan_ros.client.player import Played, play_in_lockstep, play_in_time
from pcan_ros.client.process import NodeProcess
from pcan_ros.client.report import RunReport, classes_of, percentiles_of
from pcan_ros.environment import profile_settings
from pcan_ros.messages import from_tracks

START_TIMEOUT = 90.0  # seconds the node may take to load its model


EXPLANATION = """\
Play a video or a bag through the node over DDS; write an overlay video, a contact sheet and a report.

  python -m pcan_ros.demo --out demo
  python -m pcan_ros.demo --video street.mp4 --backend openvino --set tracker.init_score=0.6
  python -m pcan_ros.demo --bag drive --rate 1
"""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of the demo."""

    out: Path = setting(Path("demo"), "folder to write")
    video: Path | None = setting(None, "video file or folder of images; default: a street clip")
    bag: Path | None = setting(None, "rosbag2 with an image topic")
    topic: str = setting("", "image topic of the bag; default: the most likely camera topic")
    data: Path = setting(Path("data"), "folder for downloads")
    model: Path | None = setting(None, "folder of an exported model; default: models/pcan_street")
    size: str = setting("", DESCRIPTION)
    backend: str = setting("auto", "inference backend", choices=BACKENDS)
    rate: float = setting(
        0.0, "play in real time at this multiple of the recorded pace; 0: lock-step", low=0.0
    )
    birds_eye: bool = setting(
        False, "draw the objects from above beside the images: by the depth of a drive, else by a flat road"
    )
    keep_bag: bool = setting(False, "keep the rosbag2 made from the video, as OUT/images")
    set: tuple[tuple[str, object], ...] = ()  # node parameters and their values


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit code."""
    return run("demo", _run, arguments)


def _run(arguments: Sequence[str]) -> int:
    parsed = _parser().parse_args(arguments)
    os.environ.update(profile_settings(os.environ))
    return report_problems("demo", run_demo(read_options(DemoOptions, parsed, set=tuple(parsed.set))))


def run_demo(options: DemoOptions) -> tuple[str, ...]:
    """Convert the input to a bag, play it, draw and report; returns the problems of the input."""
    out: Path = options.out
    model = options.model or default_model()
    classes = ModelFiles(model).config.classes
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as name:
        folder = out / "images" if options.keep_bag else Path(name) / "images"
        source, bag, missing = _input(options, folder)
        report, played = _play(options, model, source, bag)
        found = [(p.stamp, p.reply.raw) for p in played if p.reply]
        write_tracks(found, out / "tracks")
        shown = options.video or options.bag or options.out
        view = view_of(shown, classes, FlatRoad()) if options.birds_eye else None
        _draw(bag, played, classes, out, view)
    write_bytes(out / "report.json", (json.dumps(asdict(report), indent=1) + "\n").encode())
    print(report.text())
    if options.birds_eye:
        print(f"from above: {basis_of(shown, FlatRoad())}")
    print(f"written: {out}/overlay.mp4, contact_sheet.png, report.json, tracks (rosbag2)")
    return missing


def _input(options: DemoOptions, folder: Path) -> tuple[str, ImageBag, tuple[str, ...]]:
    """Return the name of the source, its images as a bag, and the problems found while reading it."""
    if options.bag:
        bag = ImageBag(options.bag, options.topic)
        return str(options.bag), bag, tuple(map(str, bag.losses))
    source = options.video or bikes(options.data)
    clip = open_clip(source)
    make_bag(_progress(timed_frames(clip, source), clip.count, "to rosbag2"), folder)
    return str(source), ImageBag(folder), clip.problems()


def _play(options: DemoOptions, model: Path, source: str, bag: ImageBag) -> tuple[RunReport, list[Played]]:
    namespace = f"/pcan_demo_{os.getpid()}"  # topics that no other process uses
    parameters = {
        "model": str(model.resolve()),
        "size": options.size,
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
            client.find_node(START_TIMEOUT, node.alive)
            records = _progress(bag.records(), bag.count, "tracking")
            if options.rate:
                played = play_in_time(records, client, node.alive, options.rate)
            else:
                played = play_in_lockstep(records, client, node.alive)
        except ClientError as error:
            raise ClientError(f"{error}; the node's last line of output: {_last_line(node.log())}") from error
        return _report(options, model, source, played, client), played


def _report(
    options: DemoOptions, model: Path, source: str, played: list[Played], client: Client
) -> RunReport:
    predictions = [p.reply for p in played if p.reply]
    duration = max((a.time for a in predictions), default=0.0) - min((p.sent for p in played), default=0.0)
    classes = classes_of(reply.message for reply in predictions)
    lockstep = "in lock-step (each image is sent when the previous one has its tracks)"
    return RunReport(
        source=source,
        model=model.name,
        backend=client.statuses[-1].backend if client.statuses else "unknown",
        pacing=f"in real time, {options.rate:g} x" if options.rate else lockstep,
        frames_in=len(played),
        frames_out=len(predictions),
        frames_dropped=len(played) - len(predictions),
        frames_per_second=round(len(predictions) / duration, 2) if duration > 0 else 0.0,
        tracks=sum(c.tracks for c in classes.values()),
        classes=classes,
        round_trip_ms=percentiles_of(p.round_trip for p in played if p.round_trip is not None),
        processing_ms=percentiles_of(s.processing_latency for s in client.statuses),
    )


def _draw(
    bag: ImageBag,
    played: list[Played],
    classes: tuple[str, ...],
    out: Path,
    view: Callable[[Tracks | None, int], RgbImage] | None,
) -> None:
    """Draw the tracks as received over DDS."""
    replies = {nanoseconds(p.reply.message.header.stamp): p.reply.message for p in played if p.reply}

    def frames() -> Iterator[tuple[RgbImage, Tracks | None]]:
        for record in _progress(bag.records(), bag.count, "drawing"):
            try:
                image = decode(record.message)
            except BadImage:
                continue  # the node has reported it
            message = replies.get(record.stamp)
            yield image, from_tracks(message) if message else None

    gaps = np.diff([p.stamp for p in played]) * 1e-9
    rate = float(1 / np.median(gaps)) if len(gaps) and np.median(gaps) > 0 else 10.0
    video, sheet = out / "overlay.mp4", out / "contact_sheet.png"
    render(frames(), classes, rate=min(rate, 60.0), video=video, sheet=sheet, view=view)


T = TypeVar("T")


def _progress(items: Iterator[T], count: int | None, what: str) -> Iterator[T]:
    yield from tqdm(items, desc=f"{what:17}", total=count, unit="frame", mininterval=0.5)


def _assignment(text: str) -> tuple[str, object]:
    """Read `tracker.init_score=0.4`."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    try:
        return name, parse_yaml(value)
    except YamlTextError as error:
        raise argparse.ArgumentTypeError(f"{name}: {error}") from None


def _last_line(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("python -m pcan_ros.demo", EXPLANATION)
    source = parser.add_mutually_exclusive_group()
    add_options(source, DemoOptions, only=("video", "bag"))
    add_options(parser, DemoOptions, skip=("video", "bag"))
    parser.add_argument(
        "--set",
        type=_assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a parameter of the node",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
