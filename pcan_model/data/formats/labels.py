"""Labels or predictions of a frame, common to all formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

IGNORE = -1  # in an index image: neither object nor background
BACKGROUND = 0  # in an index image: no object


@dataclass(frozen=True, slots=True, eq=False)
class FrameLabels:
    """N objects in a frame with masks that never overlap; N may be 0.

    An object with a box only is drawn as a rectangle and, without a mask, ignored, except in training, which
    uses `objects(boxed=True)`.
    """

    index: NDArray[np.int16]  # (H, W) IGNORE, BACKGROUND, or k + 1 where object k is visible
    labels: NDArray[np.int64]  # (N,) index into Config.classes
    ids: NDArray[np.int64]  # (N,) identity within the clip
    ignored: NDArray[
        np.bool_
    ]  # (N,) crowd, ignored or boxed: neither object nor background, but with a class
    scores: NDArray[np.float32]  # (N,) in [0, 1]; 1 for labels
    boxes: NDArray[np.float32] = field(default_factory=lambda: no_boxes(0))  # (N, 4) see no_boxes

    def __post_init__(self) -> None:
        if not len(self.boxes):
            object.__setattr__(self, "boxes", no_boxes(len(self)))
        names = ("labels", "ids", "ignored", "scores", "boxes")
        lengths = {name: len(getattr(self, name)) for name in names}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"FrameLabels: fields disagree on N: {lengths}")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def boxed(self) -> NDArray[np.bool_]:
        """Return whether each object has a box only, (N,)."""
        return ~np.isnan(self.boxes[:, 0])

    def areas(self) -> NDArray[np.int64]:
        """Return the number of visible pixels of each object, (N,)."""
        return pixel_counts(self.index, len(self))

    def masks(self) -> NDArray[np.bool_]:
        """Return the mask of each object, (N, H, W)."""
        numbers = np.arange(1, len(self) + 1, dtype=np.int16)
        return np.asarray(self.index[None] == numbers[:, None, None])

    def objects(self, *, boxed: bool = False) -> FrameLabels:
        """Return the visible objects that are not ignored; pixels of ignored ones become IGNORE.

        boxed  include objects with a box only
        """
        ignored = self.ignored & ~self.boxed if boxed else self.ignored
        counted = np.flatnonzero(~ignored & (self.areas() > 0))
        return self if len(counted) == len(self) else keep(self, counted, IGNORE)


def no_boxes(count: int) -> NDArray[np.float32]:
    """Return NaN boxes (count, 4), for objects with a mask.

    Objects without a mask have a box x1 y1 x2 y2 in pixel edges: x2 and y2 are exclusive.
    """
    return np.full((count, 4), np.nan, np.float32)


def labelled(
    index: NDArray[np.int16],
    labels: Sequence[int],
    ids: Sequence[int],
    ignored: Sequence[bool] = (),
    *,
    boxes: Sequence[Sequence[float]] = (),
) -> FrameLabels:
    """Return labels with scores of 1; by default nothing is ignored or boxed."""
    count = len(ids)
    return FrameLabels(
        index,
        np.array(labels, np.int64).reshape(-1),
        np.array(ids, np.int64).reshape(-1),
        np.array(ignored, bool) if len(ignored) else np.zeros(count, bool),
        np.ones(count, np.float32),
        np.array(boxes, np.float32).reshape(-1, 4),
    )


def from_masks(
    masks: NDArray[np.generic],
    labels: NDArray[np.int64],
    ids: NDArray[np.int64],
    *,
    scores: NDArray[np.floating] | None = None,
    ignore: NDArray[np.bool_] | None = None,
) -> FrameLabels:
    """Return labels from N masks (N, H, W); overlaps go to the higher score, then to the later mask.

    ignore  (H, W)  neither object nor background, at pixels without a mask
    """
    sure = np.ones(len(ids), np.float32) if scores is None else np.asarray(scores, np.float32)
    index = np.zeros(masks.shape[1:], np.int16)
    if ignore is not None:
        index[ignore] = IGNORE
    for k in np.argsort(sure, kind="stable"):
        np.copyto(index, np.int16(k + 1), where=np.asarray(masks[k], bool))
    return FrameLabels(index, labels, ids, np.zeros(len(ids), bool), sure)


def keep(frame: FrameLabels, chosen: NDArray[np.int64], other: int) -> FrameLabels:
    """Return the chosen objects in that order; pixels of the others become `other`."""
    table = np.full(len(frame) + 2, other, np.int16)
    table[:2] = IGNORE, BACKGROUND
    table[chosen + 2] = np.arange(1, len(chosen) + 1)
    return FrameLabels(
        table[frame.index + 1],
        frame.labels[chosen],
        frame.ids[chosen],
        frame.ignored[chosen],
        frame.scores[chosen],
        frame.boxes[chosen],
    )


def pixel_counts(index: NDArray[np.int16], count: int) -> NDArray[np.int64]:
    """Count the pixels of objects 0 .. count - 1.

    index   (H, W)    as in FrameLabels
    returns (count,)  number of pixels with value k + 1
    """
    values, _, lengths = runs(index)
    found = np.bincount(values.astype(np.int64) + 1, weights=lengths, minlength=count + 2)
    return found[2 : count + 2].astype(np.int64)


def runs(image: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """Return the runs of equal pixels within rows: values, first pixels and lengths.

    With few, large masks there are some thousand runs for a million pixels.
    """
    first = np.ones(image.shape, bool)
    np.not_equal(image[:, 1:], image[:, :-1], out=first[:, 1:])
    starts = np.flatnonzero(first)
    return image.ravel()[starts], starts, np.diff(starts, append=image.size)


def unique_values(image: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the sorted unique values of an image, and the index of each pixel's value, (H, W)."""
    of_run, _, lengths = runs(image)
    values, which = np.unique(of_run, return_inverse=True)
    return values, np.repeat(which, lengths).reshape(image.shape)
