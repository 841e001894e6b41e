"""What a training draws from: folders with weights, and clips that are held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pcan_model.config import TrainConfig
from pcan_model.data.clips import Clip
from pcan_model.data.pairs import PairDataset
from pcan_model.data.scalabel import read_clips, read_stills

STILLS = "annotation_rle.json"  # labels of single pictures, beside images/


class SourceError(ValueError):
    """A data source that cannot be used: says which, and what was expected."""


def read_sources(
    sources: Sequence[str], hold_out: Sequence[str], train: TrainConfig, *, seed: int, length: int
) -> PairDataset:
    """Open folders given as PATH or PATH:WEIGHT and draw `length` training pairs from them.

    A folder is drawn from in proportion to its weight, its clips to the square root of their lengths.
    Raises SourceError for a bad weight or a held-out video that is nowhere.
    """
    clips: list[Clip] = []
    weights: list[float] = []
    known: set[str] = set()
    for source in sources:
        path, weight = split_weight(source)
        found = _open(path)
        kept = [clip for clip in found if clip.name not in hold_out]
        total = sum(math.sqrt(len(clip)) for clip in kept)
        clips += kept
        weights += [weight * math.sqrt(len(clip)) / total for clip in kept]
        known |= {clip.name for clip in found}
    if unknown := [name for name in hold_out if name not in known]:
        raise SourceError(f"--hold-out: expected a video of {list(sources)}, got {unknown}")
    return PairDataset(
        clips,
        height=train.crop_height,
        width=train.crop_width,
        seed=seed,
        reference_range=train.reference_range,
        length=length,
        weights=weights,
    )


def split_weight(source: str) -> tuple[Path, float]:
    """Split PATH:WEIGHT; without a weight it is 1."""
    path, colon, weight = source.rpartition(":")
    if not colon or Path(source).exists():
        return Path(source), 1.0
    try:
        return Path(path), float(weight)
    except ValueError as error:
        raise SourceError(
            f"--data {source}: expected PATH or PATH:WEIGHT, got the weight {weight!r}"
        ) from error


def _open(path: Path) -> list[Clip]:
    if (path / STILLS).is_file():
        return list(read_stills(path / STILLS, path / "images"))
    return list(read_clips(path))
