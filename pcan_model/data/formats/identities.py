"""Mapping of a clip's identities and classes to the ids and categories of a format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pcan_model.data.formats.labels import BACKGROUND, IGNORE, FrameLabels, keep


class IdAllocator:
    """Maps a clip's identities to ids `first` .. `last`; an identity keeps its number if it is free."""

    def __init__(self, first: int, last: int) -> None:
        self._first, self._last = first, last
        self._number: dict[int, int] = {}
        self._taken: set[int] = set()
        self._next = first

    def of(self, identity: int, wish: int | None = None) -> int:
        """Return the id of an identity, the same every time; raises OverflowError if none is left.

        wish  preferred id, by default the identity itself
        """
        if identity not in self._number:
            wish = identity if wish is None else wish
            fits = self._first <= wish <= self._last and wish not in self._taken
            number = wish if fits else self._free()
            self._number[identity] = number
            self._taken.add(number)
        return self._number[identity]

    def _free(self) -> int:
        while self._next in self._taken:
            self._next += 1
        if self._next > self._last:
            raise OverflowError(f"expected at most {self._last - self._first + 1} identities in a clip")
        return self._next


def only(frame: FrameLabels, names: Sequence[str], known: Mapping[str, object], other: int) -> FrameLabels:
    """Return a frame with the objects that a format has a category for.

    names  class names, in the order of labels
    known  categories of the format, by name
    other  value for pixels of other objects: IGNORE (labels) or BACKGROUND (predictions)
    """
    assert other in (IGNORE, BACKGROUND)
    fits = np.array([name in known for name in names], bool)
    return keep(frame, np.flatnonzero(fits[frame.labels]), other)
