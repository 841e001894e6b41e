"""CPU time of key frames and propagated frames, and how they look: `python benchmarks/elastic.py MODEL`.

Tracks a synthetic drive at 30 Hz, every n-th frame as a key frame. Times are CPU seconds of the process, of
whole steps from image to masks, in one thread, medians. `--strip` draws consecutive frames, propagated ones
marked; `--video` tracks a video of your own instead.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np

from pcan_model.core.structures import Frame, FrameKind, Tracks
from pcan_model.data.footage import open_footage
from pcan_model.inference.backends import EngineOptions, open_engine
from pcan_model.synthetic.drive import SyntheticDrive
from pcan_model.tracking.pace import Pace
from pcan_model.tracking.tracker import Stopwatch, Tracker
from pcan_model.visualization.overlay import RgbImage, contact_sheet, draw, tile
from pcan_model.visualization.render import bgr

RATE = 30.0  # frames per second
WARM = 1  # frames of each kind that are not counted


@dataclass(frozen=True, slots=True)
class Step:
    """One tracked frame."""

    image: RgbImage
    tracks: Tracks
    seconds: float  # CPU time


def steps(tracker: Tracker, images: Iterator[RgbImage], interval: int) -> Iterator[Step]:
    """Track images at RATE with every `interval`-th one as a key frame."""
    state, pace, stopwatch = tracker.start(), Pace(interval=interval), Stopwatch(time.process_time)
    for number, image in enumerate(images):
        kind = pace.kind(drifted=state.drifted)
        state, tracks = tracker.step(state, Frame(image, number / RATE), stopwatch, kind)
        pace = pace.after(tracks.kind, 0.0)
        yield Step(image, tracks, stopwatch.timings.total)


def row(size: str, done: Sequence[Step]) -> str:
    """Return the medians as a row of the table of docs/elastic.md."""
    times = defaultdict[FrameKind, list[float]](list)
    for step in done:
        times[step.tracks.kind].append(1e3 * step.seconds)
    key, carried = (statistics.median(times[kind][WARM:]) for kind in FrameKind)
    objects = statistics.median(len(step.tracks.found()) for step in done)
    return f"| {size} | {objects:.0f} | {key:.1f} | {carried:.1f} | {carried / key:.3f} |"


def footage(options: argparse.Namespace) -> Iterator[RgbImage]:
    """Return the images of the video, or of the drive."""
    if options.video:
        source = (frame.image for frame in open_footage(options.video).frames())
    else:
        drive = SyntheticDrive(options.seed, options.frames, *options.camera, rate=RATE)
        source = (drive.read(i).image for i in range(options.frames))
    return (image for _, image in zip(range(options.frames), source, strict=False))


def strip(done: Sequence[Step], first: int, classes: tuple[str, ...]) -> RgbImage:
    """Return nine consecutive frames with their tracks."""
    some = range(first, min(first + 9, len(done)))
    return contact_sheet([tile(n, draw(done[n].image, done[n].tracks, classes), 480) for n in some])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="folder of an exported model")
    parser.add_argument("--sizes", nargs="+", default=[""], help="of the model's input, such as 384x640")
    parser.add_argument("--seed", type=int, default=9001, help="of the drive")
    parser.add_argument("--camera", type=int, nargs=2, default=(384, 640), help="height and width")
    parser.add_argument("--frames", type=int, default=32, help="of the drive (default: 32)")
    parser.add_argument("--interval", type=int, default=4, help="from key frame to key frame (default: 4)")
    parser.add_argument("--video", help="instead of a drive")
    parser.add_argument("--strip", type=Path, help="image to write")
    parser.add_argument("--first", type=int, default=8, help="frame of the strip (default: 8)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    images = [np.ascontiguousarray(image) for image in footage(options)]
    print("| input | objects | key, CPU ms | propagated, CPU ms | ratio |\n|---|---|---|---|---|")
    for size in options.sizes:
        engine = open_engine(options.model, EngineOptions("onnxruntime", size=size, threads=1)).engine
        done = list(steps(Tracker(engine), iter(images), options.interval))
        print(row(size or "default", done), flush=True)
    if options.strip:
        drawn = bgr(strip(done, options.first, engine.config.classes))
        cv2.imwrite(str(options.strip), drawn, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return 0


if __name__ == "__main__":
    sys.exit(main())
