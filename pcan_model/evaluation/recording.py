"""Common parts of all writers of tracks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from pcan_model.api.tracked_frame import TrackedFrame
from pcan_model.core.atomic_write import atomic_file
from pcan_model.data.formats.labels import FrameLabels, from_masks

Write = Callable[[TrackedFrame], None]


@dataclass(frozen=True, slots=True)
class Recording:
    """Name, classes and frame numbers of the tracked footage, as used in the files."""

    name: str  # of the video
    classes: tuple[str, ...]  # of the model
    numbers: Sequence[int] = ()  # of the images, from their file names; empty: their indices

    def number(self, frame: TrackedFrame) -> int:
        """Return the number of a frame."""
        return self.numbers[frame.index] if self.numbers else frame.index


def frame_labels(frame: TrackedFrame) -> FrameLabels:
    """Return the objects that have visible pixels; overlaps go to the higher score."""
    return from_masks(frame.masks, frame.class_ids, frame.ids, scores=frame.scores).objects()


@contextmanager
def text_file(path: Path) -> Iterator[TextIO]:
    """Yield a text file that appears under its name when the block ends without an error."""
    with atomic_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as out:
        yield out


@contextmanager
def json_list(out: TextIO) -> Iterator[Callable[[Any], None]]:
    """Yield a function that appends an entry to a JSON list on disk, without keeping it in memory."""
    separator = "["

    def add(entry: Any) -> None:
        nonlocal separator
        out.write(separator + json.dumps(entry))
        separator = ",\n"

    yield add
    out.write("[]" if separator == "[" else "]")
