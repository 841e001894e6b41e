"""The nouns of the data room: a labelled frame, its flat form, and a clip of frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

IGNORE = -1  # value of FlatFrame.index: neither object nor background
BACKGROUND = 0


class DataError(ValueError):
    """A file that does not hold what it should: `file: key: expected …, got …`."""

    def __init__(self, file: Path | str, key: str, expected: str, got: object) -> None:
        super().__init__(f"{file}: {key}: expected {expected}, got {got}")


@dataclass(frozen=True, slots=True, eq=False)
class LabeledFrame:
    """One picture with the N objects visible in it; N may be 0."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    masks: NDArray[np.bool_]  # (N, H, W) visible pixels; masks never overlap
    labels: NDArray[np.int64]  # (N,) index into CLASSES
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

    def __len__(self) -> int: ...

    def frame(self, index: int) -> LabeledFrame:
        """Read or draw one frame."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class FlatFrame:
    """A labelled frame whose N masks are one picture of numbers, cheap to warp and to paste on."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    index: NDArray[np.int16]  # (H, W) IGNORE, BACKGROUND, or k + 1 where object k is visible
    labels: NDArray[np.int64]  # (N,) index into CLASSES
    ids: NDArray[np.int64]  # (N,) identity within the clip

    def __post_init__(self) -> None:
        _check_lengths("FlatFrame", labels=self.labels, ids=self.ids)

    def areas(self) -> NDArray[np.int64]:
        """Visible pixels of every object, (N,)."""
        return pixel_counts(self.index, len(self.ids))


def _check_lengths(noun: str, **arrays: NDArray[np.generic]) -> None:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{noun}: fields disagree on N: {lengths}")


def pixel_counts(index: NDArray[np.int16], count: int) -> NDArray[np.int64]:
    """Count the pixels of objects 0 .. count - 1.

    index   (H, W)    as in FlatFrame
    returns (count,)  pixels that say k + 1
    """
    found = np.bincount((index.ravel() + 1).astype(np.int64), minlength=count + 2)
    return found[2 : count + 2].astype(np.int64)


def flatten(frame: LabeledFrame) -> FlatFrame:
    """Write the masks of a frame into one picture of numbers."""
    index = np.zeros(frame.image.shape[:2], np.int16)
    index[frame.ignore] = IGNORE
    for k, mask in enumerate(frame.masks):
        np.copyto(index, np.int16(k + 1), where=mask)
    return FlatFrame(frame.image, index, frame.labels, frame.ids)


def unflatten(flat: FlatFrame) -> LabeledFrame:
    """Give every object its own mask again; objects without a visible pixel are left out."""
    seen = np.flatnonzero(flat.areas())
    masks = flat.index[None] == (seen + 1)[:, None, None].astype(np.int16)
    return LabeledFrame(flat.image, masks, flat.labels[seen], flat.ids[seen], flat.index == IGNORE)
