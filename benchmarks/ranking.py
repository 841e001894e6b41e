"""Which frames to correct first: accuracy of the labels over the number of corrected masks.

    python benchmarks/ranking.py DATA --model models/pcan_street --plot ranking.png

The model labels every frame. Then frames are corrected one after another, which replaces its objects by the
true ones, in the order of `pcan-data rank`, by uncertainty alone, by each signal alone, and at random. The
accuracy is the F1 of objects at mask IoU >= 0.5 over all frames, corrected or not; the cost is the number of
true masks in the corrected frames. Printed is the mean of the curve, and the share of masks to correct until
half of the error is gone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pcan_model.cli.rank import RankOptions, open_ranker
from pcan_model.core.structures import Tracks
from pcan_model.data.clips import Clip
from pcan_model.data.registry import open_clips
from pcan_model.evaluation.metrics.comparison import Objects, compare, objects_of
from pcan_model.evaluation.predictions import ground_truth_of
from pcan_model.ranking.choose import uncertainty
from pcan_model.ranking.rank import RankedFrame, choose_frames, rated
from pcan_model.ranking.signals import NAMES, Signals

SHARES = np.linspace(0, 1, 101)  # of the true masks corrected


@dataclass(frozen=True)
class Errors:
    """Errors of the model in one frame."""

    hits: int  # true positives
    false: int  # false positives
    true: int  # ground-truth masks


def errors_of(truth: Objects, found: Objects, classes: int) -> Errors:
    """Compare a frame's objects with the true ones, class by class."""
    compared = [compare(truth, found, label) for label in range(classes)]
    hits = sum(int(each.hit.sum()) for each in compared)
    return Errors(hits, sum(len(each.ids) for each in compared) - hits, len(truth.labels))


def curve(order: Sequence[int], errors: Sequence[Errors]) -> NDArray[np.float64]:
    """Return the F1 of all labels at SHARES of corrected masks, for frames corrected in an order."""
    hits, false, true = (np.array([getattr(e, key) for e in errors]) for key in ("hits", "false", "true"))
    corrected = np.concatenate([[0], np.cumsum(true[list(order)])])
    right = np.concatenate([[0], np.cumsum((true - hits)[list(order)])]) + hits.sum()
    wrong = false.sum() - np.concatenate([[0], np.cumsum(false[list(order)])])
    f1 = 2 * right / np.maximum(right + wrong + true.sum(), 1)  # 2 TP / (TP + FP + objects)
    return np.interp(SHARES * true.sum(), corrected, f1)


def half_way(values: NDArray[np.float64]) -> float:
    """Return the share of corrected masks at which half of the error is gone."""
    return float(SHARES[np.argmax(values >= (values[0] + 1) / 2)])


def orders(frames: Sequence[RankedFrame], seeds: int) -> dict[str, list[list[int]]]:
    """Return the orders to compare by name; several for random ones."""
    known = {(frame.clip, frame.frame): k for k, frame in enumerate(frames)}
    useful = [known[frame.clip, frame.frame] for frame in choose_frames(frames, len(frames))]
    unsure = np.argsort([-frame.uncertainty for frame in frames], kind="stable").tolist()
    found = {"rank (uncertain and different)": [useful], "uncertainty alone": [unsure]}
    for name in NAMES:
        alone = uncertainty([Signals(**{name: getattr(frame.signals, name)}) for frame in frames])
        found[f"signal {name} alone"] = [np.argsort(-alone, kind="stable").tolist()]
    draws = [np.random.default_rng(seed).permutation(len(frames)).tolist() for seed in range(seeds)]
    return found | {"random": draws}


def look(clips: Sequence[Clip], options: RankOptions) -> tuple[list[RankedFrame], list[Errors]]:
    """Rank the frames of labelled clips, and compare the tracks with the labels."""
    ranker, classes = open_ranker(options)
    errors: list[Errors] = []
    frames: list[RankedFrame] = []
    with tqdm(total=sum(map(len, clips)), unit="frame") as bar:
        for clip in clips:

            def keep(frame: RankedFrame, tracks: Tracks, clip: Clip = clip) -> None:
                truth = ground_truth_of(clip.read(frame.frame))
                errors.append(errors_of(truth, objects_of(tracks), len(classes)))
                bar.update()

            frames += ranker.rank(clip, keep)
    return rated(frames), errors


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="labelled clips")
    parser.add_argument("--model", default="street")
    parser.add_argument("--seeds", type=int, default=3, help="of the random choice")
    parser.add_argument("--plot", type=Path, help="PNG to write")
    parsed = parser.parse_args()
    clips = open_clips(parsed.data)
    frames, errors = look(clips, replace(RankOptions(), model=parsed.model, threads=1))
    curves = {
        name: np.array([curve(order, errors) for order in each])
        for name, each in orders(frames, parsed.seeds).items()
    }
    true, hits = sum(e.true for e in errors), sum(e.hits for e in errors)
    print(f"{len(frames)} frames, {true} true masks, {hits} found, {sum(e.false for e in errors)} false\n")
    print("| order of correction | mean F1 of the curve | masks corrected until half of the error is gone |")
    print("|---|---|---|")
    for name, values in curves.items():
        means = 100 * values.mean(1)
        spread = f" ({means.min():.1f} to {means.max():.1f})" if len(values) > 1 else ""
        print(f"| {name} | {means.mean():.1f}{spread} | {100 * half_way(values.mean(0)):.0f} % |")
    if parsed.plot:
        plot(parsed.plot, curves)


def plot(path: Path, curves: Mapping[str, NDArray[np.float64]]) -> None:
    """Draw the curves of ranking, of uncertainty alone, and of random choices with their range."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for name in ("rank (uncertain and different)", "uncertainty alone", "random"):
        values = 100 * curves[name]
        axes.plot(100 * SHARES, values.mean(0), label=name)
        axes.fill_between(100 * SHARES, values.min(0), values.max(0), alpha=0.2)
    axes.set(xlabel="corrected masks, per cent of all", ylabel="F1 of the labels, per cent", xlim=(0, 100))
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
