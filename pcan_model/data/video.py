"""A video file as a clip, whose end is found by decoding, since frame counts in headers are unreliable."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip, ClipFrame, EndOfClip
from pcan_model.data.containers import missing_bytes
from pcan_model.data.edit_lists import shown_seconds

VIDEOS = (  # endings of video files, including raw streams
    *(".mp4", ".m4v", ".mov", ".3gp", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".vob", ".gif"),
    *(".wmv", ".asf", ".flv", ".ogv", ".ts", ".mts", ".m2ts", ".mxf", ".ivf", ".y4m"),
    *(".h264", ".264", ".h265", ".265", ".hevc", ".m2v", ".mjpg", ".mjpeg"),
)
RATE = 25.0  # frames per second if unknown
EDITED = (".mp4", ".m4v", ".mov", ".3gp")  # endings of files that may have an edit list
LONGEST = 10**9  # frames; larger counts in headers are invalid
TOLERANCE = 10  # one in so many frames estimated by the header may be missing in a complete file
OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"


def is_video(path: Path) -> bool:
    """Return whether a file has the ending of a video, or is binary and can be decoded as one."""
    if path.suffix.lower() in VIDEOS or not path.is_file():
        return path.is_file()
    with path.open("rb") as file:
        if b"\0" not in file.read(1024):
            return False
    try:
        Decoder(path)
    except DataError:
        return False
    return True


class VideoClip(Clip):
    """A video file; reading in order is exact and cheap, and each step back starts over.

    Raises DataError if OpenCV cannot decode the first frame.
    """

    labelled = False

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self._path = path
        self._missing = missing_bytes(path)  # at the end of the file
        self._decoder = Decoder(path, cut=bool(self._missing))
        self._end: int | None = None  # number of frames, once known
        self._duration = 0.0  # of these frames, seconds
        self.rate = self._decoder.rate
        self._hint = self._decoder.hint
        shown = shown_seconds(path) if self._hint and path.suffix.lower() in EDITED else None
        if self._hint and shown:  # the header includes hidden frames
            self._hint = min(self._hint, max(1, round(shown * self.rate)))

    def __reduce__(self) -> tuple[Callable[[Path], VideoClip], tuple[Path]]:
        return VideoClip, (self._path,)  # another process opens the file itself

    def __len__(self) -> int:
        if self._end is None:
            decoder = self._open()
            while decoder.skip():
                pass
            self._ended(decoder)
        assert self._end is not None
        return self._end

    @property
    def count(self) -> int | None:
        """Return the number of frames, by the header until the end was reached."""
        return self._hint if self._end is None else self._end

    def read(self, index: int) -> ClipFrame:
        """Decode a frame."""
        if index < 0 or (self._end is not None and index >= self._end):
            self._check_index(index, self._end or 0)
        if index < self._decoder.next:
            self._decoder = self._open()
        while self._decoder.next < index and self._decoder.skip():  # seeking is not exact in every codec
            pass
        image = self._decoder.read()
        if image is None:
            self._ended(self._decoder)
            raise EndOfClip(f"{self.name}: expected a frame below {self._end}, got {index}")
        return self._frame(index, image)

    def problems(self) -> tuple[str, ...]:
        """Return a line if the video ended early, once the end was reached."""
        if self._end is None or not self._ends_early():
            return ()
        of = f" of {self._hint}" if self._hint and self._hint > self._end else ""
        why = f": the file is cut off, {self._missing} bytes are missing" if self._missing else ""
        return (f"{self._path}: ended after {self._end}{of} frames{why}",)

    def _ends_early(self) -> bool:
        """Compare the decoded frames with the header.

        In a truncated file every missing frame counts. The header of a complete one may be off by a
        frame, or estimate the count from duration and rate.
        """
        assert self._end is not None
        if self._hint is None:
            return bool(self._missing)
        if self._missing:
            return self._end < self._hint
        count = max(self._end, round(self._duration * self.rate))
        return count < self._hint - max(1, self._hint // TOLERANCE)

    def _ended(self, decoder: Decoder) -> None:
        self._end, self._duration = decoder.next, decoder.duration

    def _open(self) -> Decoder:
        return Decoder(self._path, cut=bool(self._missing))


class Decoder:
    """Decodes a video once, frame by frame.

    cut  whether the file is truncated; partial frames are then dropped
    """

    def __init__(self, path: Path, *, cut: bool = False) -> None:
        with _without_partial_frames() if cut else nullcontext():
            self._video = cv2.VideoCapture(str(path.absolute()))  # `a:b.mp4` alone would be a URL
        self.next = 0  # index of the next frame
        self.duration = 0.0  # of the frames so far, seconds
        rate = self._video.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < 1000 else RATE
        count = self._video.get(cv2.CAP_PROP_FRAME_COUNT)
        self.hint = int(count) if 1 <= count < LONGEST else None  # number of frames by the header
        self._grabbed = self._video.isOpened() and self._video.grab()
        if not self._grabbed:
            got = "a file that is cut off" if cut else "another file"
            raise DataError(path, "video", "a video that OpenCV can read", got)

    def skip(self) -> bool:
        """Skip the next frame; returns whether there was one."""
        if not self._grab():
            return False
        self._step()
        return True

    def read(self) -> NDArray[np.uint8] | None:
        """Decode the next frame, (H, W, 3) RGB; None after the last."""
        if not self._grab():
            return None
        there, image = self._video.retrieve()
        if not there:
            return None
        self._step()
        return cast(NDArray[np.uint8], cv2.cvtColor(image, cv2.COLOR_BGR2RGB))

    def _grab(self) -> bool:
        self._grabbed = self._grabbed or self._video.grab()
        return self._grabbed

    def _step(self) -> None:
        begin = self._video.get(cv2.CAP_PROP_POS_MSEC) * 1e-3  # of this frame
        self.duration = max(self.duration, begin + 1 / self.rate)
        self.next, self._grabbed = self.next + 1, False


@contextmanager
def _without_partial_frames() -> Iterator[None]:
    """Let FFmpeg drop partial packets, which it would decode with a grey remainder."""
    if OPTIONS in os.environ:  # set by the user
        yield
        return
    os.environ[OPTIONS] = "fflags;discardcorrupt"
    try:
        yield
    finally:
        del os.environ[OPTIONS]
