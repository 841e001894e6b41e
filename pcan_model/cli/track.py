"""`pcan-track VIDEO|FOLDER --model DIR --out out.mp4`: the tracker without ROS."""

from __future__ import annotations

import pcan_model.inference.blas  # noqa: F401  before whatever loads NumPy

# isort: split
import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from pcan_model.cli.arguments import at_least, command_parser
from pcan_model.cli.run import report_problems, run
from pcan_model.core.package_files import default_model
from pcan_model.core.stamps import seconds
from pcan_model.core.structures import Frame, Tracks
from pcan_model.data.clips import Clip
from pcan_model.data.registry import open_clip
from pcan_model.inference.backends import BACKENDS, EngineOptions, open_engine
from pcan_model.tracking.tracker import Tracker
from pcan_model.visualization.overlay import RgbImage
from pcan_model.visualization.render import render

EXPLANATION = """\
Track a video or a folder of images and draw what was found.

  pcan-track street.mp4 --out tracks.mp4 --sheet tracks.png
  pcan-track drive/ --model models/robot --backend openvino
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-track`; returns the exit code."""
    return run("pcan-track", _track, arguments)


def _track(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    how = EngineOptions(options.backend, size=options.size, threads=options.threads)
    opened = open_engine(options.model or default_model(), how)
    tracker = Tracker(opened.engine)
    clip = open_clip(options.input)
    _check_outputs(options)
    classes = tracker.engine.config.classes
    render(
        track(tracker, clip),
        classes,
        rate=clip.rate,
        video=options.out,
        sheet=options.sheet,
    )
    print(f"written: {options.out}")
    return report_problems("pcan-track", clip.problems())


def track(tracker: Tracker, clip: Clip) -> Iterator[tuple[RgbImage, Tracks]]:
    """Yield every image of a clip with its tracks."""
    state = tracker.start()
    for frame in tqdm(clip.frames(), total=clip.count, unit="frame"):
        state, tracks = tracker.step(state, Frame(frame.image, seconds(frame.time)))
        yield frame.image, tracks


def _check_outputs(options: argparse.Namespace) -> None:
    """Raise ValueError, before the work and not after it, where a result could not be written."""
    for out in filter(None, (options.out, options.sheet)):
        if out.is_dir() or out.resolve() == options.input.resolve():
            raise ValueError(f"{out}: expected the name of a file to write, got a folder or the input")


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("pcan-track", EXPLANATION)
    parser.add_argument("input", type=Path, help="video, image, folder of images, or bag")
    parser.add_argument("--model", type=Path, help="folder of an exported model (default: pcan_street)")
    parser.add_argument(
        "--size", default="", help="of the input, of a model with several, such as 384x640 (default: its own)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("tracks.mp4"), help="video to write (default: tracks.mp4)"
    )
    parser.add_argument("--sheet", type=Path, help="contact sheet (png) to write")
    parser.add_argument(
        "--backend", choices=BACKENDS, default="auto", help="what runs the network (default: auto)"
    )
    parser.add_argument("--threads", type=at_least(0), default=0, help="CPU threads, 0 for one per core")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
