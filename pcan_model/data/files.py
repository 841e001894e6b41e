"""Clips of image files, with images and labels decoded on demand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.errors import DataError
from pcan_model.core.natural_order import natural_order
from pcan_model.data.clips import Clip, ClipFrame
from pcan_model.data.formats.jpeg import is_jpeg, is_whole
from pcan_model.data.formats.labels import FrameLabels, labelled

NUMBER = re.compile(r"[0-9]{1,18}$", re.ASCII)
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
RATE = 10.0  # frames per second of a folder, which has no times


class LabelSource(Protocol):
    """The encoded labels of a clip."""

    def decode(self, index: int, size: tuple[int, int] | None) -> FrameLabels | None:
        """Return the labels of a frame.

        size     (H, W) of the image; None if unknown
        returns  None if the labels do not contain the size either
        """
        ...


class NoLabels:
    """Labels of a clip without labels."""

    def decode(self, index: int, size: tuple[int, int] | None) -> FrameLabels | None:
        """Return a frame without objects."""
        return None if size is None else labelled(np.zeros(size, np.int16), [], [])


class FileClip(Clip):
    """A clip of image files; only paths and encoded labels are kept in memory."""

    def __init__(self, name: str, image_files: Sequence[Path], labels: LabelSource, *, rate: float) -> None:
        self.name = name
        self.rate = rate
        self.image_files = tuple(image_files)
        self.labelled = not isinstance(labels, NoLabels)
        self._labels = labels

    def __len__(self) -> int:
        return len(self.image_files)

    def read(self, index: int) -> ClipFrame:
        """Decode image and labels of a frame; raises DataError if their sizes differ."""
        self._check_index(index, len(self))
        image = read_image(self.image_files[index])
        height, width = image.shape[:2]
        labels = self._labels.decode(index, (height, width)) if self.labelled else None
        return self._frame(index, image, labels)

    def labels(self, index: int) -> FrameLabels:
        """Decode the labels of a frame, and its image only if the size is unknown."""
        self._check_index(index, len(self))
        known = self._labels.decode(index, None)
        return self.read(index).objects() if known is None else known

    def file_name(self, index: int) -> str:
        """Return the name of a frame's image file."""
        return self.file(index).name

    def file(self, index: int) -> Path:
        """Return the image file of a frame."""
        self._check_index(index, len(self))
        return self.image_files[index]


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode an image, (H, W, 3) RGB; raises DataError if it cannot be decoded."""
    return cast(NDArray[np.uint8], cv2.cvtColor(read_unchanged(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))


def visible(paths: Iterable[Path], endings: Sequence[str] = ()) -> list[Path]:
    """Return paths in natural order, without hidden ones such as the `._x.jpg` of macOS.

    endings  accepted endings in lower case; all if empty
    """
    return sorted((p for p in paths if is_visible(p, endings)), key=lambda p: natural_order(p.name))


def is_visible(path: Path, endings: Sequence[str] = ()) -> bool:
    """Return whether a path is not hidden and has one of the endings, if given."""
    return not path.name.startswith(".") and (not endings or path.name.lower().endswith(tuple(endings)))


def frame_numbers(image_files: Sequence[Path]) -> list[int]:
    """Return the frame numbers at the end of image names; raises DataError unless they are unique."""
    numbers: dict[int, Path] = {}
    for path in image_files:
        digits = NUMBER.search(path.stem)
        if digits is None:
            raise DataError(path, "name", "one that ends in the number of its frame", path.name)
        if other := numbers.get(int(digits[0])):
            raise DataError(path, "name", f"another number than that of {other.name}", int(digits[0]))
        numbers[int(digits[0])] = path
    return list(numbers)


def list_images(folder: Path) -> list[Path]:
    """Return the images of a folder in natural order; raises DataError if there are none."""
    if not folder.is_dir():
        raise DataError(folder, "folder", "images", "no such folder")
    found = visible(folder.iterdir(), IMAGE_SUFFIXES)
    if not found:
        raise DataError(folder, "folder", f"images ({', '.join(IMAGE_SUFFIXES)})", "none")
    return found


def read_folder(path: Path) -> Clip:
    """Open a folder of images, or one image, as a clip without labels."""
    image_files = [path] if path.is_file() else list_images(path)
    return FileClip(path.absolute().name if path.is_dir() else path.stem, image_files, NoLabels(), rate=RATE)


def read_unchanged(path: Path, flags: int = cv2.IMREAD_UNCHANGED) -> NDArray[Any]:
    """Decode an image with OpenCV; raises DataError if it cannot be decoded or is a truncated JPEG."""
    data = read_bytes(path)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # for empty data and absurd sizes
        image = None
    if image is None:
        raise DataError(path, "image", "a readable image", f"{len(data)} other bytes")
    return cast(NDArray[Any], image)


def read_bytes(path: Path) -> bytes:
    """Read an image file without decoding it; raises DataError if missing or a truncated JPEG."""
    if not path.is_file():
        raise DataError(path, "image", "an image", "no such file")
    data = path.read_bytes()
    if is_jpeg(data) and not is_whole(data):
        raise DataError(path, "image", "a whole jpeg", f"one cut off after {len(data)} bytes")
    return data


def write_image(path: Path, image: NDArray[Any], settings: Sequence[int] = ()) -> None:
    """Encode an image in the format of the file name's suffix; raises OSError on failure."""
    done, data = cv2.imencode(path.suffix, image, list(settings))
    if not done:
        raise OSError(f"{path}: the image could not be written")
    write_bytes(path, data.tobytes())
