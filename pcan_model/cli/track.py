"""`pcan-track VIDEO|FOLDER --model DIR --out out.mp4`: the tracker without ROS."""

from __future__ import annotations

import pcan_model.inference.blas  # noqa: F401  before whatever loads NumPy

# isort: split
import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pcan_model.cli.arguments import at_least
from pcan_model.core.package_files import default_model
from pcan_model.core.structures import Frame, Tracks
from pcan_model.data.image_streams import Clip, ClipError, open_clip
from pcan_model.inference.backends import BACKENDS, EngineOptions, open_engine
from pcan_model.inference.manifest import ModelError
from pcan_model.tracking.tracker import Tracker
from pcan_model.visualization.render import Picture, render


def main(arguments: list[str] | None = None) -> int:
    """Run `pcan-track`; returns 2 after an error to mend, told in one line."""
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
            count=clip.count,
            rate=clip.rate,
            video=options.out,
            sheet=options.sheet,
        )
    except (ClipError, ModelError, OSError, ValueError) as error:
        print(f"pcan-track: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("pcan-track: interrupted", file=sys.stderr)
        return 130
    print(f"written: {options.out}")
    return 0


def track(tracker: Tracker, clip: Clip) -> Iterator[tuple[Picture, Tracks]]:
    """Yield every picture of a clip (BGR) with its tracks."""
    state = tracker.start()
    for number, picture in enumerate(tqdm(clip.frames(), total=clip.count or None, unit="frame")):
        rgb = np.ascontiguousarray(picture[..., ::-1])
        state, tracks = tracker.step(state, Frame(rgb, number / clip.rate))
        yield picture, tracks


def _check_outputs(options: argparse.Namespace) -> None:
    """Raise ClipError, before the work and not after it, where a result could not be written."""
    for out in filter(None, (options.out, options.sheet)):
        if out.is_dir() or out.resolve() == options.input.resolve():
            raise ClipError(f"{out}: expected the name of a file to write, got a folder or the input")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pcan-track", description="Track a video and draw what was found.")
    parser.add_argument("input", type=Path, help="video file or folder of images")
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
