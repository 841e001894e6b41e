"""What a bag is made of: pictures in time, with labels where there are any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.data.clips import Clip, LabeledFrame
from pcan_model.data.scalabel import read_clips
from pcan_model.data.timing import time_of
from pcan_ros.replay.clips import open_clip


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One picture of a camera."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    time: int  # when it was taken, nanoseconds
    labels: LabeledFrame | None = None  # ground truth


@dataclass(frozen=True, slots=True, eq=False)
class Reel:
    """A named sequence of shots, read when asked for."""

    name: str
    count: int  # shots, as far as the source says
    rate: float  # shots per second
    shots: Callable[[], Iterator[Shot]]


def open_reels(source: Path, *, videos: Sequence[str] | None = None, rate: float = 0.0) -> list[Reel]:
    """Open a data set (a reel per clip), a video or a folder of images.

    videos  names of clips of a data set, all if None
    rate    shots per second, instead of the source's own
    """
    if (source / "labels").is_dir():
        return [of_clip(clip, rate or clip.rate) for clip in read_clips(source, videos=videos)]
    pictures = open_clip(source)
    rate = rate or pictures.rate

    def shots() -> Iterator[Shot]:
        for index, picture in enumerate(pictures.frames()):
            yield Shot(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8), time_of(index, rate))

    return [Reel(source.stem, pictures.count, rate, shots)]


def of_clip(clip: Clip, rate: float) -> Reel:
    """Return a clip of a data set as a reel."""

    def shots() -> Iterator[Shot]:
        for index in range(len(clip)):
            frame = clip.frame(index)
            yield Shot(frame.image, time_of(index, rate), frame)

    return Reel(clip.name, len(clip), rate, shots)
