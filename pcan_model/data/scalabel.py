"""Clips with Scalabel JSON, as BDD100K has them: `images/<video>/*.jpg`, `labels/<video>.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2

from pcan_model.config import CLASSES
from pcan_model.data.clips import Clip, DataError, LabeledFrame, without_image
from pcan_model.data.files import FileClip, write_picture, write_whole
from pcan_model.formats import scalabel
from pcan_model.formats.labels import FrameLabels

RATE = 5.0  # frames per second that BDD100K labels


class ScalabelLabels:
    """The labels of one clip, checked when it is opened and decoded frame by frame."""

    def __init__(self, frames: Sequence[dict[str, Any]], names: Sequence[str], file: Path) -> None:
        self._sources = [f"{file}: {frame['name']}" for frame in frames]
        self._frames = [
            scalabel.labels_of(f, names, source) for f, source in zip(frames, self._sources, strict=True)
        ]
        self._ids = scalabel.number_ids(self._frames)

    def decode(self, index: int, size: tuple[int, int] | None) -> FrameLabels | None:
        """Return the labels of a frame."""
        labels = self._frames[index]
        size = size or scalabel.size_of(labels)
        return None if size is None else scalabel.decode(labels, size, self._ids, self._sources[index])


def read_clips(
    root: Path, *, videos: Sequence[str] | None = None, names: Sequence[str] = CLASSES
) -> list[Clip]:
    """Open every video below `root` (or the named ones), in order of name.

    Labels are read and checked now, pictures when a frame is asked for.
    """
    root = Path(root)
    found = {path.stem: path for path in sorted((root / "labels").glob("*.json"))}
    if not found:
        raise DataError(root / "labels", "*.json", "one label file per video", "none")
    missing = sorted(set(videos or ()) - set(found))
    if missing:
        raise DataError(root / "labels", "videos", f"some of {sorted(found)}", missing)
    return [read_video(found[v], root / "images" / v, names) for v in sorted(videos or found)]


def read_video(labels: Path, images: Path, names: Sequence[str] = CLASSES) -> Clip:
    """Open one label file as one clip, frames by frameIndex."""
    frames = scalabel.read_frames(labels)
    frames.sort(key=lambda f: (f.get("frameIndex") or 0, f["name"]))
    return _clip(labels.stem, frames, images, labels, names)


def read_stills(labels: Path, images: Path, names: Sequence[str] = CLASSES) -> list[Clip]:
    """Open a label file of unrelated pictures (`ins_seg`, `det_20`) as clips of one frame."""
    return [
        _clip(Path(f["name"]).stem, [f], images, labels, names) for f in scalabel.read_frames(labels)
    ]  # fmt: skip


def _clip(
    name: str, frames: Sequence[dict[str, Any]], images: Path, labels: Path, names: Sequence[str]
) -> Clip:
    pictures = [images / frame["name"] for frame in frames]
    return FileClip(name, pictures, ScalabelLabels(frames, names, labels), rate=RATE)


def write_clip(
    root: Path,
    name: str,
    frames: Iterable[LabeledFrame],
    *,
    quality: int = 92,
    names: Sequence[str] = CLASSES,
) -> None:
    """Save frames in the layout that `read_clips` reads; the label file comes last, whole."""
    entries = []
    for time, frame in enumerate(frames):
        path = Path(root) / "images" / name / f"{time:06d}.jpg"
        write_picture(path, frame.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        labels = without_image(frame)
        entries.append(scalabel.encode(labels, names, name=path.name, video=name, time=time))
    write_whole(Path(root) / "labels" / f"{name}.json", json.dumps(entries).encode())
