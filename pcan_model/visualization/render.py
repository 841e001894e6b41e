"""Rendering of tracks to an overlay video and a contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import cv2
import numpy as np

from pcan_model.core.atomic_write import atomic_file, write_bytes
from pcan_model.core.structures import Tracks
from pcan_model.visualization.birds_eye import beside
from pcan_model.visualization.overlay import RgbImage, contact_sheet, draw, tile

SHEET = 12  # frames of a contact sheet
KEPT = 8 * SHEET  # maximum number of candidate tiles while the number of frames is unknown


class OverlayVideo:
    """Writes an mp4 file."""

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate = path, rate
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, image: RgbImage) -> None:
        """Append an image, resized to the size of the first one."""
        if self._writer is None:
            self._size = (image.shape[1], image.shape[0])
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._path), code, self._rate, self._size)
            if not self._writer.isOpened():
                raise OSError(f"{self._path}: OpenCV cannot write mp4 videos here")
        if (image.shape[1], image.shape[0]) != self._size:
            image = np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        self._writer.write(bgr(image))

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()


@contextmanager
def overlay_video(path: Path, rate: float) -> Iterator[OverlayVideo]:
    """Yield a video to write to, which appears at `path` on success."""
    with atomic_file(path, keep_suffix=True) as partial:
        video = OverlayVideo(partial, rate)
        try:
            yield video
        finally:
            video.close()


def evenly(frames: int, most: int = SHEET) -> list[int]:
    """Return at most `most` frame numbers, evenly spaced from the first to the last."""
    count = min(most, frames)
    return sorted({round(i * (frames - 1) / max(1, count - 1)) for i in range(count)})


class Sheet:
    """Collects evenly spaced frames of a contact sheet when the number of frames is unknown.

    Every n-th frame and the last one are stored as tiles; whenever there are too many, n doubles.
    """

    def __init__(self) -> None:
        self._every = 1
        self._tiles: list[tuple[int, RgbImage]] = []
        self._last: tuple[int, RgbImage] | None = None

    def offer(self, image: RgbImage) -> None:
        """Add the next frame; it is not copied and must not be modified."""
        number = 0 if self._last is None else self._last[0] + 1
        self._last = number, image
        if number % self._every == 0:
            self._tiles.append((number, tile(number, image)))
        if len(self._tiles) == KEPT:
            self._every *= 2
            self._tiles = self._tiles[::2]

    def save(self, path: Path) -> None:
        """Write the sheet as an image, atomically; raises ValueError without frames."""
        if self._last is None:
            raise ValueError(f"{path}: expected frames for a contact sheet, got none")
        last, image = self._last
        tiles = [*(kept for kept in self._tiles if kept[0] < last), (last, tile(last, image))]
        numbers = np.array([number for number, _ in tiles])
        nearest = {int(np.abs(numbers - wanted).argmin()) for wanted in evenly(last + 1)}
        save_image(path, contact_sheet([tiles[k][1] for k in sorted(nearest)]))


def render(
    frames: Iterable[tuple[RgbImage, Tracks | None]],
    classes: tuple[str, ...],
    *,
    rate: float,
    video: Path | None,
    sheet: Path | None = None,
    show: Callable[[RgbImage], bool] | None = None,
    view: Callable[[Tracks | None, int], RgbImage] | None = None,
) -> None:
    """Draw the tracks of every frame; frames without tracks (dropped) are drawn unchanged.

    show  called with every drawn image; returns whether to go on
    view  returns what is shown beside an image, from its tracks and its height
    """
    if video is None and sheet is None and show is None:
        for _ in frames:
            pass
        return
    sheet_tiles = Sheet()
    with nullcontext() if video is None else overlay_video(video, rate) as out:
        for image, tracks in frames:
            drawn = image if tracks is None else draw(image, tracks, classes)
            if view is not None:
                drawn = beside(drawn, view(tracks, drawn.shape[0]))
            if out is not None:
                out.write(drawn)
            if sheet is not None:
                sheet_tiles.offer(drawn)
            if show is not None and not show(drawn):
                break
    if sheet is not None:
        sheet_tiles.save(sheet)


def save_image(path: Path, image: RgbImage) -> None:
    """Write an RGB image as PNG, atomically."""
    write_bytes(path, cv2.imencode(".png", bgr(image))[1].tobytes())


def bgr(image: RgbImage) -> RgbImage:
    """Convert an RGB image to BGR, for OpenCV."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), np.uint8)
