"""The frames of any clip into another data set: images copied or encoded, labels handed on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import cv2

from pcan_model.core.atomic_write import write_bytes
from pcan_model.data.clips import Clip, EndOfClip
from pcan_model.data.files import read_bytes, write_image
from pcan_model.data.formats.labels import FrameLabels

QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]


def transfer(
    clip: Clip, target: Callable[[int], Path], endings: Sequence[str]
) -> Iterator[tuple[int, Path, FrameLabels]]:
    """Save the images of a clip, frame by frame; yields the index, where the image is, and the labels.

    target   of a frame's image, without its ending
    endings  that the data set takes: files of these are copied as they are, others become the first
    """
    for index in count():
        try:
            path, labels = _transfer(clip, index, target(index), endings)
        except EndOfClip:
            return
        yield index, path, labels


def _transfer(clip: Clip, index: int, target: Path, endings: Sequence[str]) -> tuple[Path, FrameLabels]:
    source = clip.file(index)
    if source is not None and source.suffix in endings and source.is_file():
        path = target.with_name(target.name + source.suffix)
        labels = clip.labels(index)
        write_bytes(path, read_bytes(source))
        return path, labels
    frame = clip.read(index)
    path = target.with_name(target.name + endings[0])
    bgr = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
    write_image(path, bgr, QUALITY if endings[0] == ".jpg" else ())
    return path, frame.objects()


def stem(clip: Clip, index: int) -> str:
    """Return what a frame's image is called, without its ending."""
    return Path(clip.file_name(index)).stem
