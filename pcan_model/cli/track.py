"""`pcan-track`: run the tracker on a video or folder, without ROS."""

from __future__ import annotations

import pcan_model.inference.blas  # noqa: F401  before anything imports NumPy

# isort: split
import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from pcan_model.cli.arguments import add_options, command_parser, read_options
from pcan_model.cli.run import report_problems, run
from pcan_model.core.fields import about, setting
from pcan_model.core.package_files import default_model
from pcan_model.core.stamps import seconds
from pcan_model.core.structures import Frame, Tracks
from pcan_model.data.clips import Clip
from pcan_model.data.registry import open_clip
from pcan_model.inference.backends import BACKENDS, EngineOptions, open_engine
from pcan_model.inference.input_size import DESCRIPTION
from pcan_model.tracking.tracker import Tracker
from pcan_model.visualization.overlay import RgbImage
from pcan_model.visualization.render import render

EXPLANATION = """\
Track a video or a folder of images and draw the tracks.

  pcan-track street.mp4 --out tracks.mp4 --sheet tracks.png
  pcan-track drive/ --model models/robot --backend openvino
"""


@dataclass(frozen=True, slots=True)
class TrackOptions:
    """The clip to track, the model, and the files to write."""

    input: Path = field(metadata=about("video, image, folder of images, or bag"))
    model: Path | None = setting(None, "folder of an exported model (default: pcan_street)")
    size: str = setting("", DESCRIPTION)
    out: Path = setting(Path("tracks.mp4"), "video to write")
    sheet: Path | None = setting(None, "contact sheet (PNG) to write")
    backend: str = setting("auto", "inference backend", choices=BACKENDS)
    threads: int = setting(0, "CPU threads, 0 for one per core", low=0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-track`; returns the exit code."""
    return run("pcan-track", _track, arguments)


def _track(arguments: Sequence[str]) -> int:
    options = read_options(TrackOptions, _parser().parse_args(arguments))
    how = EngineOptions(options.backend, size=options.size, threads=options.threads)
    opened = open_engine(options.model or default_model(), how)
    tracker = Tracker(opened.engine)
    clip = open_clip(options.input)
    _check_outputs(options)
    classes = tracker.engine.config.classes
    render(track(tracker, clip), classes, rate=clip.rate, video=options.out, sheet=options.sheet)
    print(f"written: {options.out}")
    return report_problems("pcan-track", clip.problems())


def track(tracker: Tracker, clip: Clip) -> Iterator[tuple[RgbImage, Tracks]]:
    """Yield every image of a clip with its tracks."""
    state = tracker.start()
    for frame in tqdm(clip.frames(), total=clip.count, unit="frame"):
        state, tracks = tracker.step(state, Frame(frame.image, seconds(frame.time)))
        yield frame.image, tracks


def _check_outputs(options: TrackOptions) -> None:
    """Raise ValueError for an output that cannot be written, before the work starts."""
    for out in filter(None, (options.out, options.sheet)):
        if out.is_dir() or out.resolve() == options.input.resolve():
            raise ValueError(f"{out}: expected the name of a file to write, got a folder or the input")


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("pcan-track", EXPLANATION)
    add_options(parser, TrackOptions, positional=("input",))
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
