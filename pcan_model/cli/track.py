"""`pcan-track`: track a video, a folder, a camera or a stream, without ROS."""

from __future__ import annotations

import pcan_model.inference.blas  # noqa: F401  before anything imports NumPy

# isort: split
import argparse
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from tqdm import tqdm

from pcan_model.api.load import VideoTracker, load
from pcan_model.api.tracked_frame import TrackedFrame
from pcan_model.cli.arguments import add_options, command_parser, read_options
from pcan_model.cli.run import report_problems, run
from pcan_model.core.fields import about, setting
from pcan_model.core.structures import Tracks
from pcan_model.data.files import FileClip
from pcan_model.data.footage import Footage, open_footage
from pcan_model.data.live import LiveStream
from pcan_model.evaluation.predictions import images_of
from pcan_model.evaluation.recording import Recording, Write
from pcan_model.evaluation.submission import times_of
from pcan_model.evaluation.track_files import TRACK_FILES, Target, read_target, write_tracks
from pcan_model.inference.backends import BACKENDS
from pcan_model.inference.input_size import DESCRIPTION
from pcan_model.lifting.ground_plane import FlatRoad
from pcan_model.visualization.from_above import basis_of, view_of
from pcan_model.visualization.overlay import RgbImage
from pcan_model.visualization.render import render
from pcan_model.visualization.window import window

EXPLANATION = """\
Track the objects in a video, a folder of images, a bag, a camera or a stream; draw and write the tracks.

  pcan-track street.mp4 --out tracks.mp4 --sheet tracks.png
  pcan-track drive/ --model models/robot --backend openvino
  pcan-track street.mp4 --no-video --write kitti_mots:found/0001.txt coco:found.json
  pcan-track drives/images/synthetic_000000 --birds-eye
  pcan-track 0 --show --no-video --classes car pedestrian
  pcan-track rtsp://camera/stream --region "0,300 1280,300 1280,720 0,720" --write csv:found.csv

A live stream is tracked until Ctrl-C, or q in the window; all files are then completed. After an
interruption of a run on files, the same command goes on where it ended.
"""


@dataclass(frozen=True, slots=True)
class TrackOptions:
    """The footage to track, the model, and the files to write."""

    input: str = field(metadata=about("video, image, folder of images, bag, camera number, or URL"))
    model: str = setting(
        "street", "street, street_tiny, folder of an exported model, or hf://OWNER/NAME (Hugging Face)"
    )
    size: str = setting("", DESCRIPTION)
    classes: tuple[str, ...] = setting((), "classes to track, such as car (default: all)")
    region: str = setting(
        "", "where objects are tracked: corners in pixels such as '0,600 1280,600 1280,720', or an image"
    )
    ignore: str = setting("", "where nothing is tracked, in the same form")
    out: Path = setting(Path("tracks.mp4"), "video to write", writes=True)
    video: bool = setting(True, "write the video")
    sheet: Path | None = setting(None, "contact sheet (PNG) to write", writes=True)
    write: tuple[str, ...] = setting((), "tracks to write, FORMAT:PATH", writes=True)
    show: bool = setting(False, "show the tracks in a window during tracking")
    birds_eye: bool = setting(
        False, "draw the objects from above beside the images: by the depth of a drive, else by a flat road"
    )
    road: FlatRoad = field(default_factory=FlatRoad)
    backend: str = setting("auto", "inference backend", choices=BACKENDS)
    threads: int = setting(0, "CPU threads, 0 for one per core", low=0)
    key_interval: int = setting(
        1, "images from one run of the network to the next; optical flow carries the tracks between", low=1
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-track`; returns the exit code."""
    return run("pcan-track", _track, arguments)


def _track(arguments: Sequence[str]) -> int:
    parsed = _parser().parse_args(arguments)
    options = read_options(TrackOptions, parsed, road=read_options(FlatRoad, parsed))
    targets = [read_target(text) for text in options.write]
    tracker = _load(options)
    footage = open_footage(options.input)
    _check_outputs(options, targets)
    with (
        write_tracks(targets, _recording(footage, tracker.classes)) as write,
        window(options.input) if options.show else nullcontext() as show,
        _interruptible(footage) as stopped,
    ):
        frames = _written(_tracked(tracker, footage, options, targets), footage, write, stopped)
        video = options.out if options.video else None
        view = view_of(Path(options.input), tracker.classes, options.road) if options.birds_eye else None
        render(
            frames, tracker.classes, rate=footage.rate, video=video, sheet=options.sheet, show=show, view=view
        )
    _report(options, targets, footage)
    return report_problems("pcan-track", footage.problems())


def _load(options: TrackOptions) -> VideoTracker:
    return load(
        options.model,
        backend=options.backend,
        size=options.size,
        threads=options.threads,
        classes=options.classes,
        region=options.region,
        ignore=options.ignore,
        key_interval=options.key_interval,
    )


def _tracked(
    tracker: VideoTracker, footage: Footage, options: TrackOptions, targets: Sequence[Target]
) -> Iterator[TrackedFrame]:
    """Track the footage; with files to write and a source on disk so that it can be resumed."""
    written = [*([options.out] if options.video else []), *(target.path for target in targets)]
    source = Path(options.input)
    if not written or options.show or isinstance(footage, LiveStream) or not source.exists():
        return tracker.track(footage)
    journal = written[0].with_name(f".{written[0].name}.part")
    return tracker.track_resumably(footage, source, journal, lambda line: tqdm.write(f"pcan-track: {line}"))


def _recording(footage: Footage, classes: tuple[str, ...]) -> Recording:
    numbers = times_of(images_of(footage)) if isinstance(footage, FileClip) else ()
    return Recording(footage.name, classes, numbers)


def _written(
    frames: Iterator[TrackedFrame], footage: Footage, write: Write, stopped: list[bool]
) -> Iterator[tuple[RgbImage, Tracks]]:
    """Write every frame to the files and pass it on, until interrupted."""
    for frame in tqdm(frames, total=footage.count, unit="frame"):
        write(frame)
        yield frame.image, frame.tracks
        if stopped:
            return


@contextmanager
def _interruptible(footage: Footage) -> Iterator[list[bool]]:
    """Yield a list that the first Ctrl-C on a live stream fills; other sources are interrupted by it."""
    stopped: list[bool] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if stopped:  # the stream has stalled
            signal.default_int_handler(number, frame)
        stopped.append(True)

    if not isinstance(footage, LiveStream):
        yield stopped
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


def _report(options: TrackOptions, targets: Sequence[Target], footage: Footage) -> None:
    if options.birds_eye:
        print(f"from above: {basis_of(Path(options.input), options.road)}")
    written: list[Any] = [options.out] if options.video else []
    for path in (*written, *filter(None, [options.sheet]), *(target.path for target in targets)):
        print(f"written: {path}")
    if isinstance(footage, LiveStream) and footage.skipped:
        print(f"{footage.shown}: {footage.skipped} images were skipped for newer ones")


def _check_outputs(options: TrackOptions, targets: Sequence[Target]) -> None:
    """Raise ValueError for an output that cannot be written, before the work starts."""
    files = [options.sheet, *(target.path for target in targets)] + [options.out] * options.video
    for out in filter(None, files):
        if out.is_dir() or out.resolve() == Path(options.input).resolve():
            raise ValueError(f"{out}: expected the name of a file to write, got a folder or the input")
    known = [out.resolve() for out in files if out is not None]
    if twice := [str(out) for out in known if known.count(out) > 1]:
        raise ValueError(f"{twice[0]}: expected a file of its own for each output, got several")


def _parser() -> argparse.ArgumentParser:
    lines = "\n".join(f"  {name:14} {kind.about}" for name, kind in TRACK_FILES.items())
    parser = command_parser("pcan-track", EXPLANATION, f"formats of --write:\n{lines}")
    metavars = {"write": "FORMAT:PATH", "classes": "CLASS"}
    add_options(parser, TrackOptions, positional=("input",), metavars=metavars)
    add_options(parser, FlatRoad)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
