"""A range of a clip's frames as a clip of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pcan_model.data.clips import Clip, ClipFrame
from pcan_model.data.formats.labels import FrameLabels


class ClipPart(Clip):
    """The frames `start` to `stop` (exclusive) of a clip, numbered from 0."""

    def __init__(self, clip: Clip, start: int, stop: int) -> None:
        self.name, self.rate, self.labelled = clip.name, clip.rate, clip.labelled
        self._clip, self._start = clip, max(0, start)
        self._length = max(0, min(stop, len(clip)) - self._start)

    def __len__(self) -> int:
        return self._length

    def read(self, index: int) -> ClipFrame:
        """Read a frame; its time and its name are those within the whole clip."""
        return replace(self._clip.read(self._whole(index)), number=index)

    def labels(self, index: int) -> FrameLabels:
        """Return the labels of a frame."""
        return self._clip.labels(self._whole(index))

    def time(self, index: int) -> int:
        """Return the capture time of a frame in nanoseconds."""
        return self._clip.time(self._whole(index))

    def file_name(self, index: int) -> str:
        """Return the file name for a frame's results."""
        return self._clip.file_name(self._whole(index))

    def file(self, index: int) -> Path | None:
        """Return the image file of a frame; None if it has none."""
        return self._clip.file(self._whole(index))

    def problems(self) -> tuple[str, ...]:
        """Return the problems of the whole clip."""
        return self._clip.problems()

    def _whole(self, index: int) -> int:
        self._check_index(index, self._length)
        return self._start + index
