"""Measure images per second of the training loader, compared with JPEG decoding alone.

    python benchmarks/loader.py data/street --config pcan_street_tiny

Both run with the same number of processes over the same images, in turns, so that a busy machine
slows them alike. The second table says where one process's time goes.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import cProfile
import pstats
import statistics
import time
from collections.abc import Iterator

import cv2
from torch.utils.data import DataLoader, Dataset

from pcan_model.core.config import load_config
from pcan_model.core.train_config import TrainConfig
from pcan_model.data.files import FileClip, read_image
from pcan_model.data.pairs import PairDataset
from pcan_model.data.registry import open_clips
from pcan_model.data.sources import read_sources, split_weight
from pcan_model.training.loader import collate

PARTS = {  # of the loader, by the functions that do them
    "decode images": ("read_image",),
    "decode labels": ("decode", "objects"),
    "warp": ("_warp",),
    "paste": ("_paste",),
    "colour, boxes, masks": ("_sample",),
}


class Numbered(Dataset[object]):
    """Training pairs with their index."""

    def __init__(self, pairs: PairDataset) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> object:
        return index, self.pairs[index]


class Images(Dataset[object]):
    """Items of two decoded images."""

    def __init__(self, paths: list[Path], length: int) -> None:
        self.paths, self.length = paths, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> object:
        # A prime stride: neighbours in time are as rare as in training.
        return [read_image(self.paths[(index * 7919 + k) % len(self.paths)]).shape for k in range(2)]


def main() -> None:
    options = _options()
    train = load_config(options.config).train
    sources, rounds = options.data, options.rounds
    length = (options.pairs + 2 * options.workers * options.batch) * rounds

    pairs = read_sources(sources, [], train, seed=0, length=length)
    images = Images(_paths(options.data), length)
    rates: dict[str, list[float]] = {"loader": [], "decode": []}
    loaders = {"loader": _batches(Numbered(pairs), options), "decode": _batches(images, options)}
    for _ in range(rounds):
        for name, batches in loaders.items():
            rates[name].append(_rate(batches, options))
    loader, decode = (statistics.median(rates[name]) for name in ("loader", "decode"))
    print(f"{train.crop_width}x{train.crop_height}, {options.workers} workers, median of {rounds} rounds")
    print(f"decode alone {decode:7.1f} images/s\nloader       {loader:7.1f} images/s")
    print(f"the loader does {loader / decode:.2f} of decoding alone")
    _explain(sources, train, options.pairs)


def _paths(sources: list[str]) -> list[Path]:
    clips = [clip for source in sources for clip in open_clips(split_weight(source)[0])]
    return [path for clip in clips if isinstance(clip, FileClip) for path in clip.images]


def _batches(items: Dataset[object], options: argparse.Namespace) -> Iterator[object]:
    numbered = isinstance(items, Numbered)
    return iter(
        DataLoader(
            items,
            options.batch,
            num_workers=options.workers,
            collate_fn=collate if numbered else list,  # type: ignore[arg-type]
            worker_init_fn=_one_thread,
        )
    )


def _one_thread(_: int) -> None:
    cv2.setNumThreads(0)


def _rate(batches: Iterator[object], options: argparse.Namespace) -> float:
    """Return images per second over the next batches."""
    for _ in range(2 * options.workers):  # made while the other had its turn
        next(batches)
    count, begin = options.pairs // options.batch, time.perf_counter()
    for _ in range(count):
        next(batches)
    return 2 * count * options.batch / (time.perf_counter() - begin)


def _explain(sources: list[str], train: TrainConfig, count: int) -> None:
    """Print the CPU time of one process, which is robust to other load, and the share of each part."""
    cv2.setNumThreads(0)

    pairs = read_sources(sources, [], train, seed=1, length=count)
    begin = time.process_time()
    for index in range(count):
        pairs[index]
    spent_alone = time.process_time() - begin
    pairs = read_sources(sources, [], train, seed=1, length=count)  # nothing cached
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    for index in range(count):
        pairs[index]
    profile.disable()
    stats = pstats.Stats(profile)
    spent = {place[2]: times[3] for place, times in stats.stats.items()}  # type: ignore[attr-defined]
    whole = spent["__getitem__"]
    print(f"\none process, {1e3 * spent_alone / count:.1f} ms of CPU time a pair; shares under a profiler:")
    for part, names in PARTS.items():
        print(f"  {part:22} {sum(spent.get(name, 0.0) for name in names) / whole:6.1%}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", help="data sets, as pcan-train --data takes them")
    parser.add_argument("--config", default="pcan_street_tiny", help="whose input size is drawn")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=2, help="pairs")
    parser.add_argument("--pairs", type=int, default=40, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
