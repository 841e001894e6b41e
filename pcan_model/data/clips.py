"""Clips: sequences of RGB frames with times, names and labels, whatever their source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.errors import DataError
from pcan_model.core.structures import CameraPlace
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
    "check_inside",
    "check_names",
    "pixel_counts",
    "time_of",
    "with_image",
    "without_image",
]

START = 1_000_000_000  # nanoseconds, of the first frame; ROS treats 0 as no time


def time_of(index: int, rate: float) -> int:
    """Return the time of a frame in nanoseconds, if only the frame rate is known."""
    return START + round(index * 1e9 / rate)


@dataclass(frozen=True, slots=True, eq=False)
class LabeledFrame:
    """An image with N visible objects; N may be 0."""

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
    """The index is beyond the end of the clip."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipFrame:
    """One frame of a clip."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    number: int  # index within the clip, from 0
    time: int  # capture time, nanoseconds
    name: str  # file name for its results
    labels: FrameLabels | None = None  # None: not labelled
    place: CameraPlace | None = None  # of the camera; None: unknown

    def objects(self) -> FrameLabels:
        """Return the labels; without objects if the frame is not labelled."""
        if self.labels is not None:
            return self.labels
        return labelled(np.zeros(self.image.shape[:2], np.int16), [], [])

    def labeled(self) -> LabeledFrame:
        """Return the image with a mask per object."""
        return with_image(self.image, self.objects())

    def flat(self) -> FlatFrame:
        """Return the image with all masks in one index image, including objects with a box only."""
        labels = self.objects().objects(boxed=True)
        return FlatFrame(self.image, labels.index, labels.labels, labels.ids, labels.boxes)


class Clip(ABC):
    """A named sequence of frames, loaded on demand by index; reading in order is cheap for all clips."""

    name: str  # as a file name without suffix
    rate: float  # frames per second
    labelled: bool  # whether its frames have labels

    @abstractmethod
    def __len__(self) -> int:
        """Return the exact number of frames; a video may have to be decoded once to know it."""

    @abstractmethod
    def read(self, index: int) -> ClipFrame:
        """Read a frame; raises EndOfClip after the last, and DataError if it cannot be read."""

    @property
    def count(self) -> int | None:
        """Return the number of frames if known without reading; an estimate for progress bars."""
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
        """Read a frame with a mask per object."""
        return self.read(index).labeled()

    def flat(self, index: int) -> FlatFrame:
        """Read a frame in flat form, for training."""
        return self.read(index).flat()

    def labels(self, index: int) -> FrameLabels:
        """Return the labels of a frame, including ignored objects."""
        return self.read(index).objects()

    def time(self, index: int) -> int:
        """Return the capture time of a frame in nanoseconds."""
        return time_of(index, self.rate)

    def file_name(self, index: int) -> str:
        """Return the file name for a frame's results."""
        return f"{index:06d}.jpg"

    def file(self, index: int) -> Path | None:
        """Return the image file of a frame; None if it has none."""
        return None

    def problems(self) -> tuple[str, ...]:
        """Return problems such as missing frames, one each; complete once the clip was read to the end."""
        return ()

    def _frame(self, index: int, image: NDArray[np.uint8], labels: FrameLabels | None = None) -> ClipFrame:
        """Return a frame with its time and name."""
        return ClipFrame(image, index, self.time(index), self.file_name(index), labels)

    def _check_index(self, index: int, length: int) -> None:
        """Raise EndOfClip for an index out of range."""
        if not 0 <= index < length:
            raise EndOfClip(f"{self.name}: expected a frame below {length}, got {index}")


def check_inside(clips: Sequence[Clip], where: Path) -> None:
    """Raise DataError for a clip whose name, which is a file's, leads out of the folder that is written."""
    for clip in clips:
        name = PurePath(clip.name)
        if name.is_absolute() or ".." in name.parts or "\0" in clip.name or not name.name:
            raise DataError(where, "clip", "the name of a folder inside", repr(clip.name))


def check_names(clips: Sequence[Clip], where: Path) -> None:
    """Raise DataError naming `where` unless all clip names are unique."""
    counts = Counter(clip.name for clip in clips)
    if duplicates := sorted(name for name, count in counts.items() if count > 1):
        raise DataError(where, "clips", "a unique name for each", f"twice {duplicates}")


@dataclass(frozen=True, slots=True, eq=False)
class FlatFrame:
    """A labelled frame with N masks in one index image, cheap to warp and to paste onto.

    An object with a box only is drawn as a rectangle, which determines how much of it is visible.
    """

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    index: NDArray[np.int16]  # (H, W) IGNORE, BACKGROUND, or k + 1 where object k is visible
    labels: NDArray[np.int64]  # (N,) index into the classes
    ids: NDArray[np.int64]  # (N,) identity within the clip
    boxes: NDArray[np.float32] = field(default_factory=lambda: no_boxes(0))  # (N, 4) see no_boxes

    def __post_init__(self) -> None:
        if not len(self.boxes):
            object.__setattr__(self, "boxes", no_boxes(len(self.ids)))
        _check_lengths("FlatFrame", labels=self.labels, ids=self.ids, boxes=self.boxes)

    @property
    def boxed(self) -> NDArray[np.bool_]:
        """Return whether each object has a box only, (N,)."""
        return ~np.isnan(self.boxes[:, 0])

    def areas(self) -> NDArray[np.int64]:
        """Return the number of visible pixels of each object, (N,)."""
        return pixel_counts(self.index, len(self.ids))


def _check_lengths(record: str, **arrays: NDArray[np.generic]) -> None:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{record}: fields disagree on N: {lengths}")


def with_image(image: NDArray[np.uint8], labels: FrameLabels) -> LabeledFrame:
    """Combine an image (H, W, 3) and its labels; ignored objects become part of the ignore mask."""
    objects = labels.objects()
    return LabeledFrame(image, objects.masks(), objects.labels, objects.ids, objects.index == IGNORE)


def without_image(frame: LabeledFrame) -> FrameLabels:
    """Return the labels of a frame."""
    return from_masks(frame.masks, frame.labels, frame.ids, ignore=frame.ignore)
