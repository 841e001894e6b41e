"""Transfer of a clip's frames to another data set, copying or encoding the images."""

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
    """Save the images of a clip, frame by frame; yields index, image path and labels.

    target   returns the path of a frame's image without suffix
    endings  accepted by the data set; such files are copied, all others are encoded as the first
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
    """Return the name of a frame's image without suffix."""
    return Path(clip.file_name(index)).stem
