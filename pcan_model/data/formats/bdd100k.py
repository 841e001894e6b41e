"""BDD100K bitmasks: one RGBA image per frame (R category, G attributes, B * 256 + A id)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.data.formats.identities import IdAllocator, only
from pcan_model.data.formats.labels import IGNORE, FrameLabels, keep, labelled, unique_values
from pcan_model.data.formats.reading import OnError, raise_error

CATEGORIES = {name: number for number, name in enumerate(CLASSES, start=1)}
LAST_ID = 65_535
TRUNCATED, OCCLUDED, CROWD, IGNORED = 8, 4, 2, 1  # bits of G
UNCOUNTED = CROWD | IGNORED  # either excludes an object from training and evaluation


def identities() -> IdAllocator:
    """Return the id allocator of a clip."""
    return IdAllocator(1, LAST_ID - 1)  # the last one is for ignored regions without a class


@dataclass(frozen=True, slots=True, eq=False)
class Bitmask:
    """A frame as parsed by the official tools: N instances by ascending id, including ignored ones."""

    index: NDArray[np.int16]  # (H, W) 0, or k + 1 where instance k is visible
    ids: NDArray[np.int64]  # (N,)
    categories: NDArray[np.int64]  # (N,) as in CATEGORIES
    attributes: NDArray[np.int64]  # (N,) bits TRUNCATED, OCCLUDED, CROWD, IGNORED


def parse(image: NDArray[np.uint8], file: Path | str) -> Bitmask:
    """Parse an RGBA bitmask image, (H, W, 4); pixels of id 0 are background.

    Raises DataError for any other image, and for an id with several categories or attributes.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 4:
        raise DataError(file, "image", "(H, W, 4) of 8 bit", f"{image.shape} {image.dtype}")
    # One integer per pixel with the id in its upper half, so that equal ids are adjacent when sorted.
    packed = np.ascontiguousarray(image[..., [1, 0, 3, 2]]).view("<u4")[..., 0]
    found, positions = unique_values(packed)
    ids, attributes, categories = found >> 16, found & 255, found >> 8 & 255
    real = ids > 0
    seen, counts = np.unique(ids[real], return_counts=True)
    if (counts > 1).any():
        twice = int(seen[counts > 1][0])
        pairs = list(zip(categories[ids == twice].tolist(), attributes[ids == twice].tolist(), strict=True))
        raise DataError(file, f"id {twice}", "one category and one set of attributes", pairs)
    table = np.where(real, np.cumsum(real), 0).astype(np.int16)
    return Bitmask(table[positions], *(v[real].astype(np.int64) for v in (ids, categories, attributes)))


def from_bitmask(
    image: NDArray[np.uint8], names: Sequence[str], file: Path | str, on_error: OnError = raise_error
) -> FrameLabels:
    """Decode a frame; crowd and ignored objects keep their class and are marked as ignored.

    Objects of classes not in `names` become ignore, as do those of unknown categories, with whose errors
    `on_error` is called.
    """
    bitmask = parse(image, file)
    for k in np.flatnonzero((bitmask.categories < 1) | (bitmask.categories > len(CATEGORIES))):
        where = f"id {bitmask.ids[k]}: category"
        on_error(DataError(file, where, f"1 to {len(CATEGORIES)}", bitmask.categories[k]))
    table = np.full(256, IGNORE)
    table[1 : len(CATEGORIES) + 1] = [names.index(name) if name in names else IGNORE for name in CATEGORIES]
    labels = table[bitmask.categories]
    ignored = (bitmask.attributes & UNCOUNTED) > 0
    frame = labelled(bitmask.index, labels.tolist(), bitmask.ids.tolist(), ignored.tolist())
    return keep(frame, np.flatnonzero(labels != IGNORE), IGNORE)


def to_bitmask(
    frame: FrameLabels, names: Sequence[str], numbers: IdAllocator, *, other: int = IGNORE
) -> NDArray[np.uint8]:
    """Encode a frame as an RGBA bitmask image, (H, W, 4).

    An ignored region without a class becomes an ignored crowd with the highest id, where the official
    evaluation accepts predictions of any class.

    names    class names, in the order of labels
    numbers  the clip's ids, from `identities`
    other    value for objects of other classes: IGNORE (labels) or BACKGROUND (predictions)
    """
    frame = only(frame, names, CATEGORIES, other)
    colours = np.zeros((len(frame) + 2, 4), np.uint8)
    colours[0] = CATEGORIES["car"], UNCOUNTED, LAST_ID >> 8, LAST_ID & 255
    for k, (label, identity) in enumerate(zip(frame.labels, frame.ids.tolist(), strict=True)):
        number = numbers.of(identity)
        attributes = UNCOUNTED if frame.ignored[k] else 0
        colours[k + 2] = CATEGORIES[names[label]], attributes, number >> 8, number & 255
    return colours[frame.index + 1]
