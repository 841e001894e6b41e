"""Which labelled frames are trained on, and which are kept out to measure on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip
from pcan_model.data.part import ClipPart
from pcan_model.data.sources import open_source, split_frame, split_weight, without
from pcan_model.finetune.options import FinetuneOptions


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """What is trained on and what is measured on."""

    frames: int  # trained on
    objects: dict[str, int]  # trained on, by class
    hold_out: tuple[str, ...]  # videos, or VIDEO:FRAME, that are not trained on
    measured: tuple[Clip, ...]
    names: tuple[str, ...]  # of what is measured on


def read_labels(options: FinetuneOptions, names: Sequence[str], new: Sequence[str]) -> Labels:
    """Open the labels and choose what is held out; raises DataError if a part lacks what it needs.

    names, new  classes of the model, and those of them that must be learnt
    """
    clips = open_labels(options.labels, names)
    hold_out = options.hold_out
    if not hold_out and options.test is None:
        hold_out = choose_held_out(clips, options.held_out_share)
    kept = training_frames(clips, hold_out)
    others = open_source(split_weight(options.test)[0], names) if options.test else []
    measured = (*others, *held_out_clips(clips, hold_out))
    objects = count_objects(kept, names)
    check_present(options.labels, objects, new, "to train on")
    check_present(options.labels, count_objects(measured, names), (), "to measure on")
    shown = (*((options.test,) if options.test else ()), *hold_out)
    return Labels(sum(map(len, kept)), objects, tuple(hold_out), measured, shown)


def open_labels(sources: Sequence[str], names: Sequence[str]) -> list[Clip]:
    """Open the clips of all sources; raises DataError if two have the same name."""
    clips = [clip for source in sources for clip in open_source(split_weight(source)[0], names)]
    known = [clip.name for clip in clips]
    if twice := sorted({name for name in known if known.count(name) > 1}):
        raise DataError(" ".join(sources), "videos", "different names", f"twice {twice[:5]}")
    return clips


def choose_held_out(clips: Sequence[Clip], share: float) -> tuple[str, ...]:
    """Return what to hold out, as `read_sources` takes it: every n-th clip, or the end of a single one.

    share  of the frames
    """
    if len(clips) == 1:
        (clip,) = clips
        start = min(len(clip) - 1, max(1, round(len(clip) * (1 - share))))
        return (f"{clip.name}:{start}",)
    wanted, total = share * sum(map(len, clips)), 0
    count = max(1, min(len(clips) - 1, round(share * len(clips))))
    chosen: list[str] = []
    for k in range(count):
        clip = clips[int((k + 0.5) * len(clips) / count)]
        if chosen and total + len(clip) / 2 > wanted:
            break
        chosen.append(clip.name)
        total += len(clip)
    return tuple(chosen)


def held_out_clips(clips: Sequence[Clip], hold_out: Sequence[str]) -> list[Clip]:
    """Return the held-out clips, and the held-out parts of others."""
    parts = []
    for clip in clips:
        kept = len(without(clip, hold_out))
        if kept < len(clip):
            parts.append(ClipPart(clip, kept, len(clip)) if kept else clip)
    return parts


def training_frames(clips: Sequence[Clip], hold_out: Sequence[str]) -> list[Clip]:
    """Return what remains for training; raises DataError if nothing does, or a held-out video is unknown."""
    names = [clip.name for clip in clips]
    if unknown := [name for name in hold_out if not {name, split_frame(name)[0]} & set(names)]:
        raise DataError("--hold-out", "videos", f"some of {names[:12]}", unknown)
    parts = [part for clip in clips if len(part := without(clip, hold_out))]
    if not parts:
        raise DataError("--hold-out", "videos", "frames left for training", "none: all are held out")
    return parts


def count_objects(clips: Sequence[Clip], names: Sequence[str]) -> dict[str, int]:
    """Return the number of labelled objects of each class: with a mask or a box, and not ignored."""
    counts = dict.fromkeys(names, 0)
    for clip in clips:
        for index in range(len(clip)):
            for label in clip.labels(index).objects(boxed=True).labels.tolist():
                counts[names[label]] += 1
    return counts


def check_present(sources: Sequence[str], counts: dict[str, int], wanted: Sequence[str], use: str) -> None:
    """Raise DataError unless each of the wanted classes, or any class if none is, has objects."""
    missing = [name for name in wanted if not counts[name]]
    if missing or not any(counts.values()):
        expected = f"objects of {', '.join(missing) or 'one of ' + ', '.join(counts)} {use}"
        raise DataError(Path(" ".join(sources)), "labels", expected, counts)
