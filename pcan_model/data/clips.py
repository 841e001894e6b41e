"""The nouns of the data room: a labelled frame, its flat form, and a clip of frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.errors import DataError
from pcan_model.data.formats.labels import BACKGROUND, IGNORE, FrameLabels, from_masks, no_boxes, pixel_counts

__all__ = [
    "BACKGROUND",
    "IGNORE",
    "Clip",
    "FlatFrame",
    "LabeledFrame",
    "check_names",
    "flatten",
    "pixel_counts",
    "unflatten",
    "with_image",
    "without_image",
]


@dataclass(frozen=True, slots=True, eq=False)
class LabeledFrame:
    """One picture with the N objects visible in it; N may be 0."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    masks: NDArray[np.bool_]  # (N, H, W) visible pixels; masks never overlap
    labels: NDArray[np.int64]  # (N,) index into the classes
    ids: NDArray[np.int64]  # (N,) identity within the clip
    ignore: NDArray[np.bool_]  # (H, W) neither object nor background

    def __post_init__(self) -> None:
        _check_lengths("LabeledFrame", masks=self.masks, labels=self.labels, ids=self.ids)
        size = self.image.shape[:2]
        if self.masks.shape[1:] != size or self.ignore.shape != size:
            raise ValueError(
                f"LabeledFrame: expected masks and ignore of {size}, "
                f"got {self.masks.shape[1:]} and {self.ignore.shape}"
            )


class Clip(Protocol):
    """A sequence of frames that are read or drawn only when asked for."""

    @property
    def name(self) -> str:
        """What the clip is called, as a file name without its ending."""
        ...

    @property
    def rate(self) -> float:
        """Frames per second."""
        ...

    @property
    def labelled(self) -> bool:
        """Whether anybody said what is in its frames; if not, they hold no objects."""
        ...

    def __len__(self) -> int: ...

    def frame(self, index: int) -> LabeledFrame:
        """Read or draw one frame."""
        ...


def check_names(clips: Sequence[Clip], where: Path) -> None:
    """Raise DataError that names `where` unless every clip has a name of its own."""
    counts = Counter(clip.name for clip in clips)
    if twice := sorted(name for name, count in counts.items() if count > 1):
        raise DataError(where, "clips", "a name of its own for each", f"twice {twice}")


@dataclass(frozen=True, slots=True, eq=False)
class FlatFrame:
    """A labelled frame whose N masks are one picture of numbers, cheap to warp and to paste on.

    An object known by its box only is painted as a rectangle, which says how much of it is visible.
    """

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    index: NDArray[np.int16]  # (H, W) IGNORE, BACKGROUND, or k + 1 where object k is visible
    labels: NDArray[np.int64]  # (N,) index into the classes
    ids: NDArray[np.int64]  # (N,) identity within the clip
    boxes: NDArray[np.float32] = field(default_factory=lambda: no_boxes(0))  # (N, 4) as of no_boxes

    def __post_init__(self) -> None:
        if not len(self.boxes):
            object.__setattr__(self, "boxes", no_boxes(len(self.ids)))
        _check_lengths("FlatFrame", labels=self.labels, ids=self.ids, boxes=self.boxes)

    @property
    def boxed(self) -> NDArray[np.bool_]:
        """Whether each object is known by its box only, (N,)."""
        return ~np.isnan(self.boxes[:, 0])

    def areas(self) -> NDArray[np.int64]:
        """Visible pixels of every object, (N,)."""
        return pixel_counts(self.index, len(self.ids))


def _check_lengths(noun: str, **arrays: NDArray[np.generic]) -> None:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{noun}: fields disagree on N: {lengths}")


def flatten(frame: LabeledFrame) -> FlatFrame:
    """Write the masks of a frame into one picture of numbers."""
    index = np.zeros(frame.image.shape[:2], np.int16)
    index[frame.ignore] = IGNORE
    for k, mask in enumerate(frame.masks):
        np.copyto(index, np.int16(k + 1), where=mask)
    return FlatFrame(frame.image, index, frame.labels, frame.ids)


def unflatten(flat: FlatFrame) -> LabeledFrame:
    """Give every object its own mask again; those unseen are left out, those without outline ignored."""
    seen = np.flatnonzero((flat.areas() > 0) & ~flat.boxed)
    masks = flat.index[None] == (seen + 1)[:, None, None].astype(np.int16)
    ignore = (flat.index != BACKGROUND) & ~masks.any(0)
    return LabeledFrame(flat.image, masks, flat.labels[seen], flat.ids[seen], ignore)


def with_image(image: NDArray[np.uint8], labels: FrameLabels) -> LabeledFrame:
    """Lay labels over their picture (H, W, 3); what is ignored is no object any more."""
    shown = labels.objects()
    return LabeledFrame(image, shown.masks(), shown.labels, shown.ids, shown.index == IGNORE)


def without_image(frame: LabeledFrame) -> FrameLabels:
    """Return the labels of a frame."""
    return from_masks(frame.masks, frame.labels, frame.ids, ignore=frame.ignore)
