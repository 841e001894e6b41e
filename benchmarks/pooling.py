"""Compare static-shape RoIAlign on the packed pyramid with pooling each box on every level.

    python benchmarks/pooling.py

Prints the ratio of the times in torch and in ONNX Runtime at the sizes of pcan_r50_bdd100k, taken
in turn on one thread (a busy machine disturbs both alike), and the largest difference.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import onnxruntime
import torch
from torch import Tensor, nn

from pcan_model.model.roi_pooling import SAMPLES, _align, _rois, levels_of, pool_regions


def pool_on_every_level(levels: list[Tensor], boxes: Tensor, image_index: Tensor, cells: int) -> Tensor:
    """Pool each box from every level and select."""
    level, rois = levels_of(boxes), _rois(boxes, image_index)
    pooled = _align(levels, 0, rois, cells, SAMPLES)
    for i in range(1, len(levels)):
        pooled = torch.where(
            (level == i)[:, None, None, None], _align(levels, i, rois, cells, SAMPLES), pooled
        )
    return pooled


class Pool(nn.Module):
    """A pooling function as a module, for export."""

    def __init__(self, pool: Callable[..., Tensor], cells: int) -> None:
        super().__init__()
        self.pool, self.cells = pool, cells

    def forward(self, p2: Tensor, p3: Tensor, p4: Tensor, p5: Tensor, boxes: Tensor) -> Tensor:
        """Return the RoI features of a pyramid."""
        return self.pool([p2, p3, p4, p5], boxes, torch.zeros_like(boxes[:, 0]), self.cells)


def session(module: nn.Module, inputs: tuple[Tensor, ...], folder: Path) -> Callable[[], Any]:
    """Export a module; returns a function that runs it in ONNX Runtime on one thread."""
    path = folder / "pool.onnx"
    names = ["p2", "p3", "p4", "p5", "boxes"]
    torch.onnx.export(module, inputs, path, dynamo=True, opset_version=18, input_names=names, verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    run = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda: run.run(None, {n: x.numpy() for n, x in zip(names, inputs, strict=True)})


def compare(one: Callable[[], Any], other: Callable[[], Any], runs: int) -> tuple[float, float]:
    """Return the median CPU times of both in seconds, run alternately."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for way, own in zip((one, other), times, strict=True):
            begin = process_time()
            way()
            own.append(process_time() - begin)
    return statistics.median(times[0]), statistics.median(times[1])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, nargs=2, default=(384, 640), help="of the network input")
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--boxes", type=int, default=1000)
    parser.add_argument("--cells", type=int, default=7)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    height, width = options.size
    levels = [torch.randn(1, options.channels, height // s, width // s) for s in (4, 8, 16, 32)]
    corners = torch.rand(options.boxes, 4) * torch.tensor([width, height, width, height])
    boxes = torch.cat([corners.view(-1, 2, 2).amin(1), corners.view(-1, 2, 2).amax(1)], 1)
    inputs = (*levels, boxes)
    before, now = (Pool(way, options.cells).eval() for way in (pool_on_every_level, pool_regions))
    with torch.inference_mode(), tempfile.TemporaryDirectory() as name:
        difference = float((before(*inputs) - now(*inputs)).abs().max())
        print(f"largest difference {difference:.1e}")
        ways = {"torch": (lambda: before(*inputs), lambda: now(*inputs))}
        folders = [Path(name) / way for way in ("before", "now")]
        for folder in folders:
            folder.mkdir()
        ways["ONNX Runtime"] = tuple(  # type: ignore[assignment]
            session(module, inputs, folder) for module, folder in zip((before, now), folders, strict=True)
        )
        exported = float(abs(ways["ONNX Runtime"][1]()[0] - now(*inputs).numpy()).max())
        print(f"largest difference of ONNX Runtime to torch on one sheet {exported:.1e}")
        for runtime, pair in ways.items():
            slow, fast = compare(*pair, options.runs)
            print(
                f"{runtime}: on every level {slow:.2f} s, on one sheet {fast:.2f} s, ratio {slow / fast:.1f}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
