"""Times of frames that KITTI lists in a file beside the images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip, ClipFrame, time_of

FILES = ("timestamps.txt", "times.txt")  # in the folder of images or above it


def timed_frames(clip: Clip, source: Path, rate: float = 0.0) -> Iterator[ClipFrame]:
    """Read the frames of a clip with the times that its camera gave them.

    source  what the clip was opened from; beside a folder of images a list of their times is looked for
    rate    frames per second, instead of all times that are known

    Raises DataError at once where the list has another number of times.
    """
    listed = [] if rate or clip.labelled or not source.is_dir() else listed_times(source, len(clip))
    if not rate and not listed:
        return clip.frames()
    return (
        replace(frame, time=listed[frame.number] if listed else time_of(frame.number, rate))
        for frame in clip.frames()
    )


def listed_times(folder: Path, count: int) -> list[int]:
    """Return the times of a folder's images in nanoseconds, as a file beside them says; else nothing."""
    places = [place / name for place in (folder, folder.parent) for name in FILES]
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
