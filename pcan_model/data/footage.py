"""Footage: images in the order of time, from whatever can be tracked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.stamps import seconds
from pcan_model.core.structures import Frame
from pcan_model.data.clips import START, ClipFrame
from pcan_model.data.files import RATE, FileClip
from pcan_model.data.live import LiveStream, is_live
from pcan_model.data.registry import open_clip
from pcan_model.data.video import VideoClip


@runtime_checkable
class Footage(Protocol):
    """Images that are read in order; every clip is footage."""

    name: str
    rate: float  # frames per second

    @property
    def count(self) -> int | None:
        """Return the number of frames if known without reading; an estimate for progress bars."""

    def frames(self) -> Iterator[ClipFrame]:
        """Read all frames in order."""

    def problems(self) -> tuple[str, ...]:
        """Return problems such as missing frames, one each; complete once all was read."""


Images = Iterable[NDArray[np.uint8] | Frame]
Source = str | Path | int | Images | Footage


class ImageFootage:
    """Images in memory, (H, W, 3) uint8 RGB, or frames with a channel order and a time of their own."""

    def __init__(self, images: Images, *, rate: float = RATE) -> None:
        self.name, self.rate, self._images = "images", rate, images

    @property
    def count(self) -> int | None:
        """Return the number of images if there are all of them already."""
        return len(self._images) if isinstance(self._images, Sized) else None

    def frames(self) -> Iterator[ClipFrame]:
        """Yield the images; raises ValueError for one of another shape or type."""
        for index, item in enumerate(self._images):
            time = round(item.stamp * 1e9) if isinstance(item, Frame) else round(index * 1e9 / self.rate)
            frame = item if isinstance(item, Frame) else Frame(np.asarray(item), 0.0)
            image, name = np.ascontiguousarray(frame.ordered("rgb")), f"{index:06d}.jpg"
            yield ClipFrame(image, index, time, name, place=frame.place)

    def problems(self) -> tuple[str, ...]:
        """Return nothing: an image that cannot be used is an error."""
        return ()


def seconds_of(footage: Footage, frame: ClipFrame) -> float:
    """Return the time of a frame in seconds; files that have no clock begin at 0."""
    return seconds(frame.time - (START if isinstance(footage, (FileClip, VideoClip)) else 0))


def open_footage(source: Source) -> Footage:
    """Open what can be tracked.

    source  a video, an image, a folder of images or a bag; a camera's number (0 or "0") or a URL (rtsp://…);
            an iterable of images, (H, W, 3) uint8 RGB, or of Frame; or footage, which is returned as it is

    Raises DataError if there is nothing of the kind.
    """
    if isinstance(source, Footage):
        return source
    if isinstance(source, int):
        return LiveStream(str(source))
    if isinstance(source, str) and is_live(source) and not Path(source).exists():
        return LiveStream(source)
    return open_clip(source) if isinstance(source, (str, Path)) else ImageFootage(source)
