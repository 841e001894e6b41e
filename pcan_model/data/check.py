"""Check of a data set: counts by class, image sizes, and all problems."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip, ClipFrame, EndOfClip
from pcan_model.data.formats.labels import IGNORE


@dataclass(slots=True)
class DatasetSummary:
    """Counts and problems of a data set, accumulated while it is checked."""

    clips: int = 0
    frames: int = 0
    empty: int = 0  # frames without objects
    ignoring: int = 0  # frames with an ignored region or object
    boxed: int = 0  # objects with a box only
    unlabelled: int = 0  # clips without labels
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)  # frames of each H, W
    areas: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))  # pixels, by class
    tracks: Counter[str] = field(default_factory=Counter)  # identities by class
    ignored: Counter[str] = field(default_factory=Counter)  # crowd or ignored objects, by class
    problems: list[str] = field(default_factory=list)


def check(clips: Sequence[Clip], names: Sequence[str], summary: DatasetSummary) -> Iterator[str]:
    """Decode every frame and update `summary`; yields the clip's name after each frame."""
    for clip in clips:
        summary.clips += 1
        summary.unlabelled += not clip.labelled
        classes: dict[int, int] = {}
        for index in count():
            try:
                _count(clip.name, clip.read(index), names, summary, classes)
            except EndOfClip:
                break
            except (ValueError, OSError) as error:  # of data sets, of bags, and of the file system
                summary.problems.append(str(error))
            yield clip.name
        summary.problems += clip.problems()
        summary.tracks.update(names[label] for label in classes.values())


def _count(
    clip: str, frame: ClipFrame, names: Sequence[str], summary: DatasetSummary, classes: dict[int, int]
) -> None:
    """Count one frame; `classes` maps the clip's identities to their classes."""
    height, width = frame.image.shape[:2]
    summary.frames += 1
    summary.sizes[height, width] += 1
    labels = frame.labels
    if labels is None:
        return
    objects = labels.objects(boxed=True)
    summary.empty += not len(objects)
    summary.ignoring += bool((objects.index == IGNORE).any())
    summary.boxed += int(objects.boxed.sum())
    summary.ignored.update(names[label] for label in labels.labels[labels.ignored & ~labels.boxed])
    for label, identity, area in zip(
        objects.labels.tolist(), objects.ids.tolist(), objects.areas().tolist(), strict=True
    ):
        summary.areas[names[label]].append(area)
        if classes.setdefault(identity, label) != label:
            expected = f"{names[classes[identity]]}, as before"
            raise DataError(clip, f"frame {frame.number}: class of id {identity}", expected, names[label])
    if len(set(objects.ids.tolist())) < len(objects):
        duplicates = [i for i, times in Counter(objects.ids.tolist()).items() if times > 1]
        raise DataError(clip, f"frame {frame.number}: ids", "one object each", f"twice {duplicates}")


def describe(summary: DatasetSummary) -> str:
    """Return the summary as text."""
    sizes = ", ".join(f"{w}x{h} ({n})" for (h, w), n in summary.sizes.most_common(6))
    lines = [f"{summary.clips} clips, {summary.frames} frames; width x height (frames): {sizes}"]
    if summary.unlabelled:
        lines.append(f"without labels: {summary.unlabelled} clips")
    if summary.unlabelled < summary.clips:
        lines.append(f"frames without objects: {summary.empty}, with ignored regions: {summary.ignoring}")
        if summary.boxed:
            lines.append(f"objects with a box only: {summary.boxed}")
        lines.append(f"{'class':12} {'objects':>8} {'tracks':>7} {'ignored':>8} {'median px':>10}")
    for name in sorted({*summary.areas, *summary.ignored}, key=lambda n: -len(summary.areas.get(n, ()))):
        areas = summary.areas.get(name, [])
        median = f"{np.median(areas):.0f}" if areas else "-"
        counts = f"{len(areas):8} {summary.tracks[name]:7} {summary.ignored[name]:8}"
        lines.append(f"{name:12} {counts} {median:>10}")
    lines += [f"problem: {problem}" for problem in summary.problems]
    return "\n".join(lines)
