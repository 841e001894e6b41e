"""Frame times from a file beside the images, as in KITTI."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip, ClipFrame, time_of

FILES = ("timestamps.txt", "times.txt")  # in the folder of images or above it


def timed_frames(clip: Clip, source: Path, rate: float = 0.0) -> Iterator[ClipFrame]:
    """Read the frames of a clip with their recorded times.

    source  path of the clip; a list of times is searched beside a folder of images
    rate    frames per second, which overrides all other times

    Raises DataError if the number of times differs from that of the images.
    """
    listed = [] if rate or clip.labelled or not source.is_dir() else listed_times(source, len(clip))
    if not rate and not listed:
        return clip.frames()
    return (
        replace(frame, time=listed[frame.number] if listed else time_of(frame.number, rate))
        for frame in clip.frames()
    )


def listed_times(folder: Path, count: int) -> list[int]:
    """Return the times of a folder's images in nanoseconds from a file beside them; empty without one."""
    candidates = [parent / name for parent in (folder, folder.parent) for name in FILES]
    file = next((path for path in candidates if path.is_file()), None)
    if file is None:
        return []
    times = [_nanoseconds(file, line.strip()) for line in file.read_text().splitlines() if line.strip()]
    if len(times) != count:
        raise DataError(file, "lines", f"one for each of {count} images", len(times))
    return times


def _nanoseconds(file: Path, text: str) -> int:
    """Parse `2011-09-26 13:02:25.594360375` (assumed to be UTC) or seconds."""
    whole, _, rest = text.partition(".")
    try:
        if " " in whole:
            second = int(datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp())
            return second * 1_000_000_000 + int(f"{rest:0<9}"[:9])
        return round(float(text) * 1e9)
    except ValueError:
        raise DataError(file, "line", "a time such as 2011-09-26 13:02:25.594360375", text) from None
