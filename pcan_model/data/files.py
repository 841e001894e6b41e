"""A clip of picture files: pictures and labels are decoded when a frame is asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip, FlatFrame, LabeledFrame, flatten, with_image
from pcan_model.data.formats.labels import FrameLabels, labelled

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


class LabelSource(Protocol):
    """The labels of one clip, still encoded."""

    def decode(self, index: int, size: tuple[int, int] | None) -> FrameLabels | None:
        """Return the labels of a frame.

        size     H, W of the picture; None: not known, as it was not decoded
        returns  None where the labels do not tell the size either
        """
        ...


class NoLabels:
    """The labels of pictures without."""

    def decode(self, index: int, size: tuple[int, int] | None) -> FrameLabels | None:
        """Return a frame without objects."""
        return None if size is None else labelled(np.zeros(size, np.int16), [], [])


class FileClip:
    """A clip of which only paths and encoded labels are in memory."""

    def __init__(self, name: str, pictures: Sequence[Path], labels: LabelSource, *, rate: float) -> None:
        self.name = name
        self.rate = rate
        self.pictures = tuple(pictures)
        self.labelled = not isinstance(labels, NoLabels)
        self._labels = labels

    def __len__(self) -> int:
        return len(self.pictures)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Decode the picture of a frame, (H, W, 3) RGB."""
        return read_image(self.pictures[index])

    def labels(self, index: int) -> FrameLabels:
        """Decode the labels of a frame, ignored objects among them."""
        known = self._labels.decode(index, None)
        return self.labels_on(index, self.image(index)) if known is None else known

    def frame(self, index: int) -> LabeledFrame:
        """Decode picture and labels of a frame."""
        image = self.image(index)
        return with_image(image, self.labels_on(index, image))

    def flat(self, index: int) -> FlatFrame:
        """Decode picture and labels of a frame, objects known by their box only among them."""
        image = self.image(index)
        shown = self.labels_on(index, image).objects(boxed=True)
        return FlatFrame(image, shown.index, shown.labels, shown.ids, shown.boxes)

    def labels_on(self, index: int, image: NDArray[np.uint8]) -> FrameLabels:
        """Decode the labels of a frame whose picture is there; DataError where they are of another size."""
        height, width = image.shape[:2]
        labels = self._labels.decode(index, (height, width))
        assert labels is not None
        return labels


def flat_frame(clip: Clip, index: int) -> FlatFrame:
    """Return a frame of any clip in its flat form, for training."""
    return clip.flat(index) if isinstance(clip, FileClip) else flatten(clip.frame(index))


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode a picture, (H, W, 3) RGB; DataError where there is none."""
    return cast(NDArray[np.uint8], cv2.cvtColor(read_picture(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))


def by_number(path: Path) -> list[int | str]:
    """Sort key: numbers in a file's name count by value."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def list_pictures(folder: Path) -> list[Path]:
    """Return the pictures of a folder in order; DataError where there are none."""
    if not folder.is_dir():
        raise DataError(folder, "folder", "pictures", "no such folder")
    found = sorted((p for p in folder.iterdir() if p.suffix.lower() in PICTURES), key=by_number)
    if not found:
        raise DataError(folder, "folder", f"pictures ({', '.join(PICTURES)})", "none")
    return found


def read_picture(path: Path, flags: int = cv2.IMREAD_UNCHANGED) -> NDArray[Any]:
    """Decode a picture as OpenCV does; DataError where there is none."""
    if not path.is_file():
        raise DataError(path, "image", "a picture", "no such file")
    picture = cv2.imread(str(path), flags)
    if picture is None:
        raise DataError(path, "image", "a readable picture", f"{path.stat().st_size} other bytes")
    return cast(NDArray[Any], picture)


def write_picture(path: Path, picture: NDArray[Any], settings: Sequence[int] = ()) -> None:
    """Encode a picture as its name says, whole or not at all; OSError where that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(path.suffix, picture, list(settings))
    if not done:
        raise OSError(f"{path}: the picture could not be written")
    write_whole(path, data.tobytes())


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under another name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(data)
    partial.replace(path)
