"""Identities of a clip in the numbers that a format has room for, and classes in its categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pcan_model.data.formats.labels import BACKGROUND, IGNORE, FrameLabels, keep


class IdAllocator:
    """One clip's identities as numbers `first` .. `last`; an identity that fits and is free keeps its own."""

    def __init__(self, first: int, last: int) -> None:
        self._first, self._last = first, last
        self._number: dict[int, int] = {}
        self._taken: set[int] = set()
        self._next = first

    def of(self, identity: int, wish: int | None = None) -> int:
        """Return an identity's number, the same every time; OverflowError when none is left.

        wish  the number it would like, itself by default
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
    """Return a frame whose objects a format has a category for.

    names  of the classes that the frame's labels count
    known  of the format, by name
    other  what the pixels of other objects become: IGNORE (labels) or BACKGROUND (predictions)
    """
    assert other in (IGNORE, BACKGROUND)
    fits = np.array([name in known for name in names], bool)
    return keep(frame, np.flatnonzero(fits[frame.labels]), other)
