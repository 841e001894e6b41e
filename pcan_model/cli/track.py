"""`pcan-track VIDEO|FOLDER --model DIR --out out.mp4`: the tracker without ROS."""

from __future__ import annotations

import pcan_model.inference.blas  # noqa: F401  before whatever loads NumPy

# isort: split
import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from pcan_model.cli.arguments import at_least
from pcan_model.core.package_files import default_model
from pcan_model.core.stamps import seconds
from pcan_model.core.structures import Frame, Tracks
from pcan_model.data.clips import Clip
from pcan_model.data.registry import open_clip
from pcan_model.inference.backends import BACKENDS, EngineOptions, open_engine
from pcan_model.inference.manifest import ModelError
from pcan_model.tracking.tracker import Tracker
from pcan_model.visualization.overlay import Picture
from pcan_model.visualization.render import render


def main(arguments: list[str] | None = None) -> int:
    """Run `pcan-track`; returns 1 where a part of the clip could not be read, 2 after an error to mend."""
    options = _parser().parse_args(arguments)
    try:
        how = EngineOptions(options.backend, threads=options.threads)
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
    except (ModelError, OSError, ValueError) as error:
        print(f"pcan-track: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("pcan-track: interrupted", file=sys.stderr)
        return 130
    print(f"written: {options.out}")
    for problem in clip.problems():
        print(f"pcan-track: {problem}", file=sys.stderr)
    return 1 if clip.problems() else 0


def track(tracker: Tracker, clip: Clip) -> Iterator[tuple[Picture, Tracks]]:
    """Yield every picture of a clip with its tracks."""
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
    parser = argparse.ArgumentParser(prog="pcan-track", description="Track a video and draw what was found.")
    parser.add_argument("input", type=Path, help="video, image, folder of images, or bag")
    parser.add_argument("--model", type=Path, help="folder of an exported model (default: pcan_street_tiny)")
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
    sys.exit(main())
