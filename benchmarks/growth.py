"""How the cost of tracking grows: `python benchmarks/growth.py objects` (cameras, memory, hours).

    objects  1 to 100 tracked objects: key and propagated frames, and what an object costs
    cameras  1 to 8 cameras that share an engine: time of an image and memory of a camera
    memory   1 to 32 memory frames: frame pass and memory of a camera
    hours    many images without the network: time of a frame, size of the state, memory of the process

Objects are planted: the network runs on every image, and its detections are then replaced by boxes of one
size that move with the background, so that the number is exact. Graphs that no model folder has (100
detections, other numbers of memory frames) are exported with the weights of MODEL into --work and kept
there. Times are CPU milliseconds of the process in one thread, medians.
"""

from __future__ import annotations

import argparse
import os
import pickle
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2

from benchmarks.planted_objects import SIZE, Planted, WithoutNetwork, images
from pcan_model.core.package_files import default_model
from pcan_model.core.structures import Frame, FrameKind, State
from pcan_model.inference.backends import EngineOptions, open_engine
from pcan_model.inference.manifest import ModelFiles
from pcan_model.tracking.tracker import Stopwatch, Tracker

RATE = 10.0  # images per second
DETECTIONS = 100  # of the graphs for `objects`
WARM = 2  # images that are not counted
FRAMES = 12  # images that are

Row = list[str]


def objects(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the cost of frames by number of tracked objects."""
    yield ["objects", "frame pass", "instance pass", "association", "masks", "key frame", "propagated frame"]
    heads = {"detections": DETECTIONS, "score_threshold": 0.0}
    engine = opened(exported(options, f"detections_{DETECTIONS}", {"heads": heads}))
    for count in options.counts or (1, 3, 10, 30, 100):
        times = defaultdict[str, list[float]](list)
        planted = Planted(engine, count)
        tracker, clock = Tracker(planted), Stopwatch(time.process_time)
        state = tracker.start()
        for step, image in zip(range(2 * (WARM + FRAMES)), images(), strict=False):
            planted.step = step
            kind = FrameKind.KEY if step % 2 == 0 or step < WARM else FrameKind.PROPAGATED
            state, tracks = tracker.step(state, Frame(image, step / RATE), clock, kind)
            if step < 2 * WARM:
                continue
            if len(tracks.found()) != count or tracks.kind is not kind:
                sys.exit(f"{count} objects planted, {len(tracks.found())} tracked in image {step}")
            times[kind.value].append(clock.timings.total)
            if kind is FrameKind.KEY:
                for name in ("association", "masks"):
                    times[name].append(getattr(clock.timings, name))
                for name, spent in planted.spent.items():
                    times[name].append(spent)
        names = ("detect", "segment", "association", "masks", "key", "propagated")
        yield [str(count), *(milliseconds(times[name]) for name in names)]


def cameras(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the cost of an image by number of cameras."""
    yield ["cameras", "key frame", "propagated frame", "all cameras, key frames", "process, MB"]
    engine = opened(options.model, size_of(options.model))
    for count in options.counts or (1, 2, 4, 8):
        planted = Planted(engine, 8)
        tracker, clock = Tracker(planted), Stopwatch(time.process_time)
        states: Mapping[int, State] = {camera: tracker.start() for camera in range(count)}
        times = defaultdict[FrameKind, list[float]](list)
        for step, image in zip(range(WARM + FRAMES), images(), strict=False):
            planted.step = step
            kind = FrameKind.KEY if step % 2 == 0 or step < WARM else FrameKind.PROPAGATED
            frames = dict.fromkeys(range(count), Frame(image, step / RATE))
            states = {c: after for c, (after, _) in tracker.step_cameras(states, frames, clock, kind).items()}
            if step >= WARM:
                times[kind].append(clock.timings.total)
        each = {kind: [spent / count for spent in times[kind]] for kind in FrameKind}
        kinds = (milliseconds(each[kind]) for kind in FrameKind)
        yield [str(count), *kinds, milliseconds(times[FrameKind.KEY]), f"{resident():.0f}"]


def memory(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the cost of the frame pass by number of memory frames."""
    yield ["memory frames", "frame pass", "instance pass", "memory of a camera, MB"]
    for count in options.counts or (1, 2, 4, 8, 16, 32):
        changes = {"frame_attention": {"memory_frames": count}}
        engine = opened(exported(options, f"memory_{count}", changes))
        planted = Planted(engine, 8)
        tracker, times = Tracker(planted), defaultdict[str, list[float]](list)
        state = tracker.start()
        for step, image in zip(range(count + FRAMES), images(), strict=False):
            planted.step = step
            state, _ = tracker.step(state, Frame(image, step / RATE))
            for name, spent in planted.spent.items():
                times[name].append(spent)
        held = sum(array.nbytes for array in engine.state_arrays(state.memory).values()) / 1e6
        yield [str(count), *(milliseconds(times[n][count:]) for n in ("detect", "segment")), f"{held:.2f}"]


def hours(options: argparse.Namespace) -> Iterator[Row]:
    """Yield time and memory after every sixth of the images, of which every 4th is a key frame."""
    yield ["images", "ids given", "ms of a frame", "state, kB", "process, MB"]
    config, total = ModelFiles(options.model).config, options.images
    config = replace(config, input=replace(config.input, height=SIZE[0], width=SIZE[1]))
    tracker = Tracker(planted := WithoutNetwork(config, 8, int(5 * RATE)))
    state, spent, clock = tracker.start(), list[float](), Stopwatch(time.process_time)
    for step, image in zip(range(total), images(), strict=False):
        planted.step = step
        kind = FrameKind.KEY if step % 4 == 0 else FrameKind.PROPAGATED
        state, _ = tracker.step(state, Frame(image, step / RATE), clock, kind)
        spent.append(clock.timings.total)
        if (step + 1) % (total // 6) == 0:
            size = len(pickle.dumps(state)) / 1e3
            row = [str(step + 1), str(state.next_id - 1), f"{1e3 * statistics.mean(spent):.2f}"]
            yield [*row, f"{size:.0f}", f"{resident():.1f}"]
            spent.clear()


def exported(options: argparse.Namespace, name: str, changes: Mapping[str, Mapping[str, Any]]) -> Path:
    """Return the folder of a model with changed parts of its configuration, exported unless it exists."""
    folder: Path = options.work / name
    if not folder.exists():
        from pcan_model.export.model_folder import export
        from pcan_model.export.options import ExportOptions
        from pcan_model.factory import load_net

        files = ModelFiles(options.model)
        changes = {"input": {"height": SIZE[0], "width": SIZE[1]}, **changes}
        parts = {part: replace(getattr(files.config, part), **each) for part, each in changes.items()}
        config = replace(files.config, **parts)
        net = load_net(config, options.model / "weights.safetensors")
        export(net, folder, ExportOptions())
    return folder


def opened(folder: Path, size: str = "") -> Any:
    """Return a model's engine in ONNX Runtime with one thread."""
    return open_engine(folder, EngineOptions("onnxruntime", threads=1, size=size)).engine


def size_of(model: Path) -> str:
    """Return SIZE as text if a model has several sizes, else nothing."""
    text = "x".join(map(str, SIZE))
    return text if text in ModelFiles(model).manifest.sizes else ""


def milliseconds(seconds: list[float]) -> str:
    """Return the median."""
    return f"{1e3 * statistics.median(seconds):.1f}"


def resident() -> float:
    """Return the resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


TABLES = {"objects": objects, "cameras": cameras, "memory": memory, "hours": hours}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--model", type=Path, default=default_model(), help="folder of an exported model")
    parser.add_argument("--work", type=Path, default=Path("/tmp/growth"), help="folder for other graphs")
    parser.add_argument("--counts", type=int, nargs="+", help="rows of the table")
    parser.add_argument("--images", type=int, default=9000, help="of `hours` (default: 9000)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for number, row in enumerate(TABLES[options.table](options)):
        print(f"| {' | '.join(row)} |", flush=True)
        if number == 0:
            print("|---" * len(row) + "|", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
