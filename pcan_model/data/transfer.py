"""One frame of any clip into another data set: its picture copied or encoded, its labels handed on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2

from pcan_model.data.clips import Clip, without_image
from pcan_model.data.files import FileClip, write_picture
from pcan_model.data.formats.labels import FrameLabels

QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]


def transfer(clip: Clip, index: int, target: Path, endings: Sequence[str]) -> tuple[Path, FrameLabels]:
    """Save the picture of a frame and return where, and the labels.

    target   of the picture, without its ending
    endings  that the data set takes: files of these are copied as they are, others become the first
    """
    if isinstance(clip, FileClip):
        source, labels = clip.pictures[index], clip.labels(index)
        path = target.with_name(target.name + source.suffix)
        if source.suffix in endings and source.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, path)
            return path, labels
        image = clip.image(index)
    else:
        frame = clip.frame(index)
        image, labels = frame.image, without_image(frame)
    path = target.with_name(target.name + endings[0])
    write_picture(path, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), QUALITY if endings[0] == ".jpg" else ())
    return path, labels


def stem(clip: Clip, index: int) -> str:
    """Return what a frame's picture is called, without its ending."""
    return clip.pictures[index].stem if isinstance(clip, FileClip) else f"{index:06d}"
