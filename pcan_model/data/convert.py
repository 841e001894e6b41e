"""Conversion of clips to a data set format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pcan_model.core.atomic_write import atomic_folder
from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip, check_names
from pcan_model.data.datasets import bdd100k, kitti_mots, scalabel, youtube_vis

TARGETS = ("kitti_mots", "bdd100k_bitmask", "scalabel", "youtube_vis")


def convert(
    clips: Sequence[Clip],
    target: str,
    out: Path,
    *,
    split: str = "train",
    names: Sequence[str] = CLASSES,
) -> Iterator[str]:
    """Write clips as a data set, atomically; yields the clip's name after each frame.

    target  one of TARGETS
    out     folder to create
    split   name of the split, for formats with splits
    names   class names, in the order of labels

    Raises DataError if `out` exists, or clip names are not unique.
    """
    if target not in TARGETS:
        raise DataError(out, "format", f"one of {', '.join(TARGETS)}", target)
    if out.exists():
        raise DataError(out, "out", "a folder that does not exist", "one that does")
    check_names(clips, out)
    with atomic_folder(out) as partial:
        yield from _write(clips, target, partial, split, names)


def _write(clips: Sequence[Clip], target: str, out: Path, split: str, names: Sequence[str]) -> Iterator[str]:
    videos = youtube_vis.Writer(out, names, split)
    for clip in clips:
        if target == "kitti_mots":
            steps = kitti_mots.save_clip(out, clip, names)
        elif target == "bdd100k_bitmask":
            steps = bdd100k.save_clip(out, clip, names, split)
        elif target == "scalabel":
            steps = scalabel.save_clip(out, clip, names)
        else:
            steps = videos.save_clip(clip)
        yield from (clip.name for _ in steps)
    if target == "kitti_mots":
        kitti_mots.write_list(out, clips, split)
    elif target == "youtube_vis":
        videos.close()
