"""Pictures and tracks to an overlay video and a contact sheet."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.structures import Tracks
from pcan_model.visualization.overlay import contact_sheet, draw

Picture = NDArray[np.uint8]  # (H, W, 3) BGR
SHEET = 12  # frames of a contact sheet


class OverlayVideo:
    """An mp4 that is at its place only once it is complete."""

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate = path, rate
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, picture: Picture) -> None:
        """Append a picture; the first one's size holds for all."""
        if self._writer is None:
            self._size = (picture.shape[1], picture.shape[0])
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._path), code, self._rate, self._size)
            if not self._writer.isOpened():
                raise OSError(f"{self._path}: OpenCV cannot write mp4 videos here")
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = np.asarray(cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        self._writer.write(picture)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()


@contextmanager
def overlay_video(path: Path, rate: float) -> Iterator[OverlayVideo]:
    """Yield a video to write to; it is at `path` when the block ends well, and nowhere else otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        partial = Path(name) / "overlay.mp4"
        video = OverlayVideo(partial, rate)
        try:
            yield video
        finally:
            video.close()
        if partial.exists():
            os.replace(partial, path)


class Sheet:
    """Collects the frames of a contact sheet, evenly over the whole."""

    def __init__(self, frames: int) -> None:
        count = min(SHEET, frames)
        self._wanted = {round(i * (frames - 1) / max(1, count - 1)) for i in range(count)}
        self._pictures: list[tuple[int, Picture]] = []

    def wants(self, number: int) -> bool:
        """Return whether a frame is one of the chosen."""
        return number in self._wanted

    def offer(self, number: int, picture: Picture) -> None:
        """Keep a frame where it is one of the chosen."""
        if self.wants(number):
            self._pictures.append((number, picture))

    def save(self, path: Path) -> None:
        """Write the sheet as a picture, whole or not at all."""
        if self._pictures:
            save_bytes(path, cv2.imencode(".png", contact_sheet(self._pictures))[1].tobytes())


def render(
    frames: Iterable[tuple[Picture, Tracks | None]],
    classes: tuple[str, ...],
    *,
    count: int,
    rate: float,
    video: Path,
    sheet: Path | None = None,
) -> None:
    """Draw every frame's tracks; a frame without (dropped) stays as it was.

    count  of frames, for the choice of the contact sheet's
    """
    pictures = Sheet(count)
    with overlay_video(video, rate) as out:
        for number, (picture, tracks) in enumerate(frames):
            drawn = picture if tracks is None else draw(picture, tracks, classes)
            out.write(drawn)
            pictures.offer(number, drawn)
    if sheet is not None:
        pictures.save(sheet)


def save_bytes(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(data)
    os.replace(partial, path)
