"""Training data from data sets with weights, without held-out clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os.path import exists  # False for names that are too long, for which Path.exists raises
from pathlib import Path

from pcan_model.core.config import CLASSES
from pcan_model.core.train_config import TrainConfig
from pcan_model.data.augment import FLIP
from pcan_model.data.clips import Clip
from pcan_model.data.pairs import PairDataset
from pcan_model.data.part import ClipPart
from pcan_model.data.registry import FORMATS, open_clips, recognise


class SourceError(ValueError):
    """Invalid data source; names the source and what was expected."""


def read_sources(
    sources: Sequence[str],
    hold_out: Sequence[str],
    train: TrainConfig,
    *,
    seed: int,
    length: int,
    names: Sequence[str] = CLASSES,
) -> PairDataset:
    """Open data sets given as PATH[@FORMAT][@SPLIT][#VIDEO,VIDEO][:WEIGHT], and sample `length` pairs.

    FORMAT is detected by default, SPLIT is train if the format has splits, and VIDEO is every video.
    `hold_out` names videos that are not sampled, or VIDEO:FRAME for the part from that frame on.

    Data sets are sampled by weight, their clips in proportion to the square root of their lengths.
    Raises SourceError for an invalid weight, clips without labels or frames, or an unknown video.
    """
    clips: list[Clip] = []
    weights: list[float] = []
    known: set[str] = set()
    for source in sources:
        path, weight = split_weight(source)
        found = open_source(path, names)
        if empty := [clip.name for clip in found if not len(clip)]:
            raise SourceError(f"--data {source}: expected clips with frames, got none in {empty[:5]}")
        kept = [part for clip in found if len(part := without(clip, hold_out))]
        total = sum(math.sqrt(len(clip)) for clip in kept)
        clips += kept
        weights += [weight * math.sqrt(len(clip)) / total for clip in kept]
        known |= {clip.name for clip in found}
    if unknown := [name for name in hold_out if not {name, split_frame(name)[0]} & known]:
        raise SourceError(f"--hold-out: expected a video of {list(sources)}, got {unknown}")
    if not clips:
        raise SourceError(f"--data: expected clips to train on, got none in {list(sources)}")
    return PairDataset(
        clips,
        height=train.crop_height,
        width=train.crop_width,
        seed=seed,
        reference_range=train.reference_range,
        frames=train.clip_frames,
        augment=FLIP if train.augment == "flip" else None,
        length=length,
        weights=weights,
        names=names,
    )


def without(clip: Clip, hold_out: Sequence[str]) -> Clip:
    """Return the part of a clip that is not held out: all, its first frames, or none."""
    if clip.name in hold_out:
        return ClipPart(clip, 0, 0)
    starts = [first for name, first in map(split_frame, hold_out) if name == clip.name]
    return ClipPart(clip, 0, min(starts)) if starts else clip


def split_frame(name: str) -> tuple[str, int]:
    """Split VIDEO:FRAME; the default frame is 0."""
    video, colon, frame = name.rpartition(":")
    return (video, int(frame)) if colon and frame.isdecimal() else (name, 0)


def split_weight(source: str) -> tuple[Path, float]:
    """Split PATH:WEIGHT; the default weight is 1."""
    path, colon, weight = source.rpartition(":")
    if not colon or exists(source):
        return Path(source), 1.0
    try:
        value = float(weight)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise SourceError(
            f"--data {source}: expected PATH, or PATH:WEIGHT above 0, got the weight {weight!r}"
        )
    return Path(path), value


def open_source(source: Path, names: Sequence[str]) -> list[Clip]:
    """Open the labelled clips of PATH[@FORMAT][@SPLIT][#VIDEO,VIDEO]; raises SourceError without labels."""
    whole, videos = split_videos(source)
    path, split = split_name(whole)
    path, kind = split_name(path)
    if kind is None and split in FORMATS:
        kind, split = split, None
    if split is None and path.exists():
        split = "train" if recognise(path, kind or "auto").splits else None
    clips = open_clips(path, kind or "auto", split=split, names=names)
    if unknown := [video for video in videos if video not in {clip.name for clip in clips}]:
        raise SourceError(f"--data {source}: expected videos of {path}, got {unknown}")
    clips = [clip for clip in clips if not videos or clip.name in videos]
    if bare := [clip.name for clip in clips if not clip.labelled]:
        raise SourceError(f"--data {source}: expected labelled clips, got none for {bare[:5]}")
    return clips


def split_videos(source: Path) -> tuple[Path, tuple[str, ...]]:
    """Split PATH#VIDEO,VIDEO; an existing path is not split."""
    name, mark, videos = source.name.partition("#")
    if not mark or exists(source):
        return source, ()
    return source.with_name(name), tuple(videos.split(","))


def split_name(source: Path) -> tuple[Path, str | None]:
    """Split PATH@NAME; an existing path is not split."""
    name, at, split = source.name.rpartition("@")
    if not at or exists(source):
        return source, None
    return source.with_name(name), split
