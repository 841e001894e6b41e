"""What a bag is made of: pictures in time, with labels where there are any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip, LabeledFrame
from pcan_model.data.image_streams import open_clip
from pcan_model.data.registry import open_clips, recognise
from pcan_model.data.timing import time_of

TIMES = ("timestamps.txt", "times.txt")  # of KITTI, in the folder of images or above it


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
    shots: Callable[[], Iterator[Shot]]


def open_reels(
    source: Path,
    *,
    format: str = "auto",
    split: str | None = None,
    videos: Sequence[str] | None = None,
    rate: float = 0.0,
) -> list[Reel]:
    """Open a data set (a reel per clip), a video or a folder of images.

    format, split, videos  of a data set, see `pcan_model.data.registry.open_clips`
    rate                   shots per second, instead of the source's own times
    """
    if recognise(source, format).name in ("video", "folder"):
        return [of_pictures(source, rate)]
    clips = open_clips(source, format, split=split, videos=videos)
    return [of_clip(clip, rate or clip.rate) for clip in clips]


def of_clip(clip: Clip, rate: float) -> Reel:
    """Return a clip of a data set as a reel."""

    def shots() -> Iterator[Shot]:
        for index in range(len(clip)):
            frame = clip.frame(index)
            yield Shot(frame.image, time_of(index, rate), frame if clip.labelled else None)

    return Reel(clip.name, len(clip), shots)


def of_pictures(source: Path, rate: float = 0.0) -> Reel:
    """Return a video or a folder of images as a reel; KITTI's list of times is used where it is there."""
    pictures = open_clip(source)
    listed = [] if rate else _listed_times(source, pictures.count)

    def shots() -> Iterator[Shot]:
        for index, picture in enumerate(pictures.frames()):
            time = listed[index] if listed else time_of(index, rate or pictures.rate)
            yield Shot(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8), time)

    return Reel(source.stem, pictures.count, shots)


def _listed_times(folder: Path, count: int) -> list[int]:
    """Return the times of a folder's images in nanoseconds, as a file beside them says; else nothing."""
    places = [f / name for f in (folder, folder.parent) for name in TIMES] if folder.is_dir() else []
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        return []
    times = [_nanoseconds(file, line.strip()) for line in file.read_text().splitlines() if line.strip()]
    if len(times) != count:
        raise DataError(file, "lines", f"one for each of {count} images", len(times))
    return times


def _nanoseconds(file: Path, text: str) -> int:
    """Read `2011-09-26 13:02:25.594360375` (UTC is assumed) or seconds."""
    whole, _, rest = text.partition(".")
    try:
        if " " in whole:
            second = int(datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp())
            return second * 1_000_000_000 + int(f"{rest:0<9}"[:9])
        return round(float(text) * 1e9)
    except ValueError:
        raise DataError(file, "line", "a time such as 2011-09-26 13:02:25.594360375", text) from None
