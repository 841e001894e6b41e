"""A clip: a sequence of frames in RGB with time, name and labels, whatever it is read from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.errors import DataError
from pcan_model.data.formats.labels import (
    BACKGROUND,
    IGNORE,
    FrameLabels,
    from_masks,
    labelled,
    no_boxes,
    pixel_counts,
)

__all__ = [
    "BACKGROUND",
    "IGNORE",
    "Clip",
    "ClipFrame",
    "EndOfClip",
    "FlatFrame",
    "LabeledFrame",
    "check_names",
    "pixel_counts",
    "time_of",
    "with_image",
    "without_image",
]

START = 1_000_000_000  # nanoseconds, of the first frame: a stamp of 0 means no time to ROS


def time_of(index: int, rate: float) -> int:
    """Return when a frame was taken, in nanoseconds, where only the frames per second are known."""
    return START + round(index * 1e9 / rate)


@dataclass(frozen=True, slots=True, eq=False)
class LabeledFrame:
    """One image with the N objects visible in it; N may be 0."""

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


class EndOfClip(IndexError):
    """There is no frame of this number: the clip has ended."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipFrame:
    """One frame of a clip."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    number: int  # place within the clip, from 0
    time: int  # when it was taken, nanoseconds
    name: str  # file name that its results are filed under
    labels: FrameLabels | None = None  # None: not labelled

    def objects(self) -> FrameLabels:
        """Return the labels; those of a frame that is not labelled hold no objects."""
        if self.labels is not None:
            return self.labels
        return labelled(np.zeros(self.image.shape[:2], np.int16), [], [])

    def labeled(self) -> LabeledFrame:
        """Return the image with a mask for every object."""
        return with_image(self.image, self.objects())

    def flat(self) -> FlatFrame:
        """Return the image with all masks in one index image, objects known by their box only among them."""
        shown = self.objects().objects(boxed=True)
        return FlatFrame(self.image, shown.index, shown.labels, shown.ids, shown.boxes)


class Clip(ABC):
    """A named sequence of frames that are read or drawn only when asked for.

    A frame is read by its index; reading in order is cheap in every clip, and reads each frame once.
    """

    name: str  # as a file name without its ending
    rate: float  # frames per second
    labelled: bool  # whether its frames are labelled; if not, they hold no objects

    @abstractmethod
    def __len__(self) -> int:
        """Return the exact number of frames; a video that does not know it is decoded once for it."""

    @abstractmethod
    def read(self, index: int) -> ClipFrame:
        """Read one frame; EndOfClip behind the last, DataError where it cannot be read."""

    @property
    def count(self) -> int | None:
        """The number of frames as far as it is known without reading; a hint, for progress bars."""
        return len(self)

    def frames(self) -> Iterator[ClipFrame]:
        """Read all frames in order."""
        for index in count():
            try:
                frame = self.read(index)
            except EndOfClip:
                return
            yield frame

    def frame(self, index: int) -> LabeledFrame:
        """Read one frame with a mask for every object."""
        return self.read(index).labeled()

    def flat(self, index: int) -> FlatFrame:
        """Read one frame in its flat form, for training."""
        return self.read(index).flat()

    def labels(self, index: int) -> FrameLabels:
        """Return the labels of one frame, ignored objects among them."""
        return self.read(index).objects()

    def time(self, index: int) -> int:
        """Return when a frame was taken, nanoseconds."""
        return time_of(index, self.rate)

    def file_name(self, index: int) -> str:
        """Return the file name that a frame's results are filed under."""
        return f"{index:06d}.jpg"

    def file(self, index: int) -> Path | None:
        """Return the image file of a frame; None where it is no file of its own."""
        return None

    def problems(self) -> tuple[str, ...]:
        """Return what was missing, one line each; complete once the clip was read to its end."""
        return ()

    def _frame(self, index: int, image: NDArray[np.uint8], labels: FrameLabels | None = None) -> ClipFrame:
        """Return a frame with its time and name."""
        return ClipFrame(image, index, self.time(index), self.file_name(index), labels)

    def _check_index(self, index: int, length: int) -> None:
        """Raise EndOfClip where there is no such frame."""
        if not 0 <= index < length:
            raise EndOfClip(f"{self.name}: expected a frame below {length}, got {index}")


def check_names(clips: Sequence[Clip], where: Path) -> None:
    """Raise DataError that names `where` unless every clip has a name of its own."""
    counts = Counter(clip.name for clip in clips)
    if twice := sorted(name for name, count in counts.items() if count > 1):
        raise DataError(where, "clips", "a name of its own for each", f"twice {twice}")


@dataclass(frozen=True, slots=True, eq=False)
class FlatFrame:
    """A labelled frame whose N masks are one image of numbers, cheap to warp and to paste on.

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


def with_image(image: NDArray[np.uint8], labels: FrameLabels) -> LabeledFrame:
    """Lay labels over their image (H, W, 3); what is ignored is no object any more."""
    shown = labels.objects()
    return LabeledFrame(image, shown.masks(), shown.labels, shown.ids, shown.index == IGNORE)


def without_image(frame: LabeledFrame) -> FrameLabels:
    """Return the labels of a frame."""
    return from_masks(frame.masks, frame.labels, frame.ids, ignore=frame.ignore)
