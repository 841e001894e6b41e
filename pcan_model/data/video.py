"""Pictures without labels: a folder of images, or a video."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip, LabeledFrame, with_image
from pcan_model.data.files import FileClip, NoLabels, list_pictures
from pcan_model.data.formats.labels import labelled

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".gif")
RATE = 10.0  # frames per second of a folder, which says nothing of time


def read_folder(folder: Path) -> Clip:
    """Open a folder of pictures as one clip, numbers in their names by value."""
    return FileClip(folder.name, list_pictures(folder), NoLabels(), rate=RATE)


class VideoClip:
    """A video file; frames are exact and cheap in order, and each step back starts over."""

    labelled = False

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self._path = path
        self._next = 0
        self._video = self._open()
        rate = self._video.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < 1000 else 25.0
        self._length = int(self._video.get(cv2.CAP_PROP_FRAME_COUNT))
        if self._length < 1:
            raise DataError(path, "video", "a number of frames in its header", self._length)

    def __len__(self) -> int:
        return self._length

    def frame(self, index: int) -> LabeledFrame:
        """Decode a frame; there is nothing labelled in it."""
        image = self._image(index)
        return with_image(image, labelled(np.zeros(image.shape[:2], np.int16), [], []))

    def _image(self, index: int) -> NDArray[np.uint8]:
        if not 0 <= index < self._length:
            raise IndexError(f"{self.name}: expected a frame below {self._length}, got {index}")
        if index < self._next:
            self._video, self._next = self._open(), 0
        while self._next < index and self._video.grab():  # seeking is not exact in every codec
            self._next += 1
        there, picture = self._video.read()
        if not there:
            got = f"the end after {self._next}"
            raise DataError(self._path, f"frame {index}", f"{self._length} frames, as its header says", got)
        self._next += 1
        return cast(NDArray[np.uint8], cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))

    def _open(self) -> cv2.VideoCapture:
        video = cv2.VideoCapture(str(self._path))
        if not video.isOpened():
            raise DataError(self._path, "video", "a video that OpenCV can read", "another file")
        return video
