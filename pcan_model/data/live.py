"""Cameras and network streams, read with OpenCV.

A thread reads a live stream, so that a slow consumer gets the newest image and no delay accumulates.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from threading import Condition, Thread
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.errors import DataError
from pcan_model.core.storage import is_address
from pcan_model.data.clips import ClipFrame
from pcan_model.data.video import LONGEST, RATE

URL = re.compile(r"[a-z][a-z0-9+.-]*://.+", re.IGNORECASE | re.DOTALL)
SECRET = re.compile(r"(?<=://)[^/@]*@")  # user and password of a URL

Image = NDArray[np.uint8]


def is_live(source: str) -> bool:
    """Return whether a source is a camera number or the URL of a stream."""
    if is_address(source):
        return False
    return (source.isascii() and source.isdecimal()) or URL.fullmatch(source) is not None


class LiveStream:
    """Images of a camera, given by its number, or of a URL; can be read once.

    A finite stream (the URL of a file) is read image by image. From a live stream the newest image is taken;
    older ones are skipped and counted. The time of a live image is its time of arrival.

    Raises DataError if OpenCV cannot open it.
    """

    def __init__(self, source: str) -> None:
        self.shown = f"camera {source}" if source.isdecimal() else SECRET.sub("", source)
        self.name = re.sub(r"[^\w.-]+", "_", self.shown)  # as a file name
        self._video = cv2.VideoCapture(int(source) if source.isdecimal() else source)
        if not self._video.isOpened():
            raise DataError(self.shown, "stream", "a camera or stream that OpenCV can open", "none")
        rate, count = (self._video.get(key) for key in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
        self.rate = rate if 0 < rate < 1000 else RATE  # frames per second
        self.count = int(count) if 1 <= count < LONGEST else None  # of images; None for a live stream
        self.skipped = 0  # images replaced by a newer one before they were read
        self._read = 0

    def frames(self) -> Iterator[ClipFrame]:
        """Read images until the stream ends, and close it."""
        try:
            for image, stamp in self._every() if self.count else self._newest():
                index, self._read = self._read, self._read + 1
                yield ClipFrame(_rgb(image), index, stamp, f"{index:06d}.jpg")
        finally:
            self._video.release()

    def problems(self) -> tuple[str, ...]:
        """Return a line if there was no image at all."""
        return () if self._read else (f"{self.shown}: expected images, got none",)

    def _every(self) -> Iterator[tuple[Image, int]]:
        while (image := self._video.read()[1]) is not None:
            yield np.asarray(image, np.uint8), round(self._video.get(cv2.CAP_PROP_POS_MSEC) * 1e6)

    def _newest(self) -> Iterator[tuple[Image, int]]:
        reader = _Newest(self._video)
        try:
            while (taken := reader.take()) is not None:
                image, stamp, number = taken
                self.skipped = number - self._read
                yield image, stamp
        finally:
            reader.stop()


class _Newest:
    """Reads a stream in a separate thread and keeps the newest image."""

    def __init__(self, video: Any) -> None:
        self._video, self._changed = video, Condition()
        self._image: tuple[Image, int, int] | None = None  # image, time of arrival in nanoseconds, number
        self._ended = False
        self._thread = Thread(target=self._run, name="stream", daemon=True)
        self._thread.start()

    def take(self) -> tuple[Image, int, int] | None:
        """Wait for an image that has not been taken yet; None once the stream has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._image is not None or self._ended)
            taken, self._image = self._image, None
            return taken

    def stop(self) -> None:
        """Stop reading once the current image has been read."""
        self._ended = True
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._ended:
            image = self._video.read()[1]
            with self._changed:
                if image is None:
                    self._ended = True
                else:
                    self._image = image, time.time_ns(), number
                self._changed.notify()
            number += 1


def _rgb(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
