"""Compare the CPU time per frame of the engines: `python benchmarks/engines.py MODEL...`.

A MODEL is an exported folder, such as models/pcan_street_tiny or what benchmarks/random_model.py writes; one
in 8 bits (pcan-export --precision int8) is a row of its own. All engines take turns on the same images, so
that other work on the machine disturbs them alike. Two times are taken of every frame:

  cpu   seconds of all threads of the process: robust to other load on the machine
  wall  seconds until it was done: on a busy machine far above cpu / threads

The lowest of the rounds counts: of disturbed runs it is the least disturbed. "end to end" is a JPEG of
1280 x 720 decoded, and all of the tracker's step, masks drawn. `--beside` adds rows of other detectors.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pcan_model.inference.blas  # noqa: F401  before NumPy is loaded

# isort: split

import argparse
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.beside import Beside
from benchmarks.cost import Cost, least, timed
from benchmarks.random_model import IMAGE
from pcan_model.core.engine import Engine
from pcan_model.core.structures import Detections, Frame, Slots
from pcan_model.inference.manifest import ModelFiles
from pcan_model.synthetic.drive import SyntheticDrive
from pcan_model.tracking.tracker import Tracker

HEIGHT, WIDTH = 720, 1280  # of the camera's image
DRIVE = 100_001  # a synthetic drive that no training sees
WARM = 1  # rounds that do not count
BACKENDS = ("torch", "onnxruntime", "openvino")


class Watched(Engine):
    """An engine whose two passes are timed."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.config, self.camera_format = engine, engine.config, engine.camera_format
        self.frame: list[Cost] = []
        self.instance: list[Cost] = []

    def start(self, camera: int = 0) -> Any:
        """Return the engine's empty memory."""
        return self.engine.start()

    def detect(self, image: NDArray[np.uint8], memory: Any) -> tuple[Detections, Any]:
        """Time the frame pass."""
        done, cost = timed(lambda: self.engine.detect(image, memory))
        self.frame.append(cost)
        return done

    def segment(
        self, features: Any, slots: Slots, memory: Any, *, remember: bool
    ) -> tuple[NDArray[np.float32], Any]:
        """Time the instance pass."""
        done, cost = timed(lambda: self.engine.segment(features, slots, memory, remember=remember))
        self.instance.append(cost)
        return done


class Row:
    """An engine with its tracker and the times of its frames."""

    def __init__(self, model: Path, size: str, backend: str, threads: int) -> None:
        files = ModelFiles(model, size)
        engine, self.loading = timed(lambda: open_engine(files, backend, threads))
        self.model, self.name, self.precision = model, f"{model.name} | {backend}", files.manifest.precision
        self.size = f"{files.config.input.height}x{files.config.input.width}"
        self.watched = Watched(engine)
        self._tracker = Tracker(self.watched)
        self._state = self._tracker.start()
        self.whole: list[Cost] = []
        self.objects = 0

    def step(self, jpeg: NDArray[np.uint8], stamp: float) -> None:
        """Decode and track one image."""

        def work() -> None:
            image = np.ascontiguousarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR_RGB))
            self._state, tracks = self._tracker.step(self._state, Frame(np.asarray(image, np.uint8), stamp))
            self.objects = len(tracks.found())

        self.whole.append(timed(work)[1])

    def line(self, rounds: int) -> str:
        """Return a row of the table: minimum times of the last rounds, in milliseconds."""
        parts = (least(costs[-rounds:]) for costs in (self.watched.frame, self.watched.instance, self.whole))
        cells = [self.name, self.precision, self.size, self.objects, *parts, f"{self.loading.cpu:.1f}"]
        return f"| {' | '.join(str(cell) for cell in cells)} |"


def open_engine(files: ModelFiles, backend: str, threads: int) -> Engine:
    """Return an engine with a number of threads."""
    if backend == "torch":
        import torch

        from pcan_model.factory import load_engine

        torch.set_num_threads(threads)
        return load_engine(files.config, files.folder / "weights.safetensors")
    if backend == "openvino":
        from pcan_model.inference.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(files.folder, threads, files.manifest.size)
    from pcan_model.inference.onnx_engine import OnnxEngine

    return OnnxEngine(files.folder, threads, size=files.manifest.size)


def images(model: Path, count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield JPEGs for a model: a synthetic drive, or the image of a random model."""
    own = cv2.imread(str(model / IMAGE)) if (model / IMAGE).is_file() else None
    drive = SyntheticDrive(DRIVE, length=count)
    for index in range(count):
        image = drive.frame(index).image[..., ::-1] if own is None else own
        tall = cv2.resize(image, (WIDTH, WIDTH * image.shape[0] // image.shape[1]))
        middle = (len(tall) - HEIGHT) // 2
        yield cv2.imencode(".jpg", tall[middle : middle + HEIGHT])[1]


def main() -> int:
    options = _options()
    head = ("model", "engine", "precision", "input", "objects", "frame pass cpu", "wall", "instance pass cpu")
    print(f"| {' | '.join((*head, 'wall', 'end to end cpu', 'wall', 'loading, cpu s'))} |")
    print("|---" * (len(head) + 4) + "|")
    frames = {model: list(images(model, options.rounds + WARM)) for model in options.models}
    rows = [
        Row(model, size, backend, options.threads)
        for model in options.models
        for size in sizes(model)
        for backend in backends(model, options)
    ]
    others = [Beside(text, options.threads) for text in options.beside]
    for number in range(options.rounds + WARM):
        for row in rows:
            row.step(frames[row.model][number], number / 10)
        for other in others:
            other.step(frames[options.models[0]][number])
    for row in (*rows, *others):
        print(row.line(options.rounds))
    return 0


def sizes(model: Path) -> tuple[str, ...]:
    """Return the input sizes that a model has graphs for."""
    manifest = ModelFiles(model).manifest
    return manifest.size, *manifest.sizes


def backends(model: Path, options: argparse.Namespace) -> list[str]:
    """Return the engines for a model; torch for fp32 only."""
    exact = ModelFiles(model).manifest.precision == "fp32"
    return [backend for backend in options.backends if exact or backend != "torch"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="folder of pcan-export")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    text = "another detector's network, see benchmarks/beside.py"
    parser.add_argument("--beside", nargs="+", default=[], metavar="FILE.onnx[@HxW]", help=text)
    parser.add_argument("--rounds", type=int, default=10, help="frames of each engine (default: 10)")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
