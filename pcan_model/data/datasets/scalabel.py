"""Clips with Scalabel JSON labels: `images/<video>/*.jpg` and `labels/<video>.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip, LabeledFrame, without_image
from pcan_model.data.files import FileClip, visible, write_image
from pcan_model.data.formats import scalabel
from pcan_model.data.formats.labels import FrameLabels
from pcan_model.data.formats.reading import OnError, raise_error, read_all
from pcan_model.data.transfer import stem, transfer

LAYOUT = "images/ with labels/*.json, one per video (images/<video>/) or of stills, or annotation_rle.json"
STILLS = "annotation_rle.json"  # labels of single images in images/
RATE = 5.0  # labelled frames per second in BDD100K


class ScalabelLabels:
    """Labels of a clip, validated when opened and decoded frame by frame."""

    def __init__(
        self,
        frames: Sequence[tuple[scalabel.Label, ...]],
        sources: Sequence[str],
        on_error: OnError = raise_error,
    ) -> None:
        self._frames, self._sources, self._on_error = frames, sources, on_error
        self._ids = scalabel.number_ids(self._frames)

    def decode(self, index: int, size: tuple[int, int] | None) -> FrameLabels | None:
        """Return the labels of a frame."""
        labels = self._frames[index]
        size = size or scalabel.size_of(labels)
        if size is None:
            return None
        return scalabel.decode(labels, size, self._ids, self._sources[index], self._on_error)


def read_clips(
    root: Path,
    *,
    videos: Sequence[str] | None = None,
    names: Sequence[str] = CLASSES,
    on_error: OnError = raise_error,
) -> list[Clip]:
    """Open all videos below `root`, or the named ones, by name.

    on_error  called with the error of each skipped file or frame

    Labels are read and validated at once, images on demand.
    """
    root = Path(root)
    matches = {path.stem: path for path in sorted(visible((root / "labels").glob("*.json")))}
    if not matches:
        raise DataError(root / "labels", "*.json", "one label file per video", "none")
    missing = sorted(set(videos or ()) - set(matches))
    if missing:
        raise DataError(root / "labels", "videos", f"some of {sorted(matches)}", missing)
    images, files = root / "images", [matches[video] for video in sorted(videos or matches)]
    opened = read_all(lambda file: _read_file(file, images, names, on_error), files, on_error)
    return [clip for clips in opened for clip in clips]


def _read_file(labels: Path, images: Path, names: Sequence[str], on_error: OnError) -> list[Clip]:
    """Open a label file of one video, of several by videoName, or of stills."""
    if (images / labels.stem).is_dir():
        return [read_video(labels, images / labels.stem, names, on_error)]
    groups: dict[str, list[dict[str, Any]]] = {}
    for frame in scalabel.read_frames(labels, on_error):
        groups.setdefault(frame.get("videoName") or "", []).append(frame)
    reader = _Reader(labels, names, on_error)
    stills = [reader.clip(Path(f["name"]).stem, [f], images) for f in groups.pop("", [])]
    videos = [reader.clip(name, _in_order(f), images / name) for name, f in groups.items()]
    return stills + videos


def _in_order(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(frames, key=lambda frame: (frame.get("frameIndex") or 0, frame["name"]))


def matches(root: Path) -> bool:
    """Return whether a folder has this layout."""
    return (root / STILLS).is_file() or (
        (root / "images").is_dir() and bool(visible(root.glob("labels/*.json")))
    )


def read_set(root: Path, names: Sequence[str], on_error: OnError = raise_error) -> list[Clip]:
    """Open the videos or the single images of a folder."""
    if (root / STILLS).is_file():
        return read_stills(root / STILLS, root / "images", names, on_error)
    return read_clips(root, names=names, on_error=on_error)


def read_video(
    labels: Path, images: Path, names: Sequence[str] = CLASSES, on_error: OnError = raise_error
) -> Clip:
    """Open a label file as a clip, with frames in order of frameIndex."""
    frames = _in_order(scalabel.read_frames(labels, on_error))
    return _Reader(labels, names, on_error).clip(labels.stem, frames, images)


def read_stills(
    labels: Path, images: Path, names: Sequence[str] = CLASSES, on_error: OnError = raise_error
) -> list[Clip]:
    """Open a label file of unrelated images (`ins_seg`, `det_20`) as clips of one frame."""
    reader = _Reader(labels, names, on_error)
    frames = scalabel.read_frames(labels, on_error)
    return [reader.clip(Path(frame["name"]).stem, [frame], images) for frame in frames]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Builds clips from the frames of a label file."""

    file: Path
    names: Sequence[str]  # class names, in the order of labels
    on_error: OnError  # called with the errors of skipped frames

    def clip(self, name: str, frames: Sequence[dict[str, Any]], images: Path) -> Clip:
        """Validate the labels of frames and return a clip of them."""
        checked = read_all(self._check, self._drop_duplicates(frames), self.on_error)
        sources = [self._source(frame) for frame, _ in checked]
        labels = ScalabelLabels([labels for _, labels in checked], sources, self.on_error)
        return FileClip(name, [images / frame["name"] for frame, _ in checked], labels, rate=RATE)

    def _check(self, frame: dict[str, Any]) -> tuple[dict[str, Any], tuple[scalabel.Label, ...]]:
        return frame, scalabel.labels_of(frame, self.names, self._source(frame), self.on_error)

    def _drop_duplicates(self, frames: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Drop duplicate frames."""
        known: dict[tuple[str, int], dict[str, Any]] = {}
        for frame in frames:
            if known.setdefault((frame["name"], frame.get("frameIndex") or 0), frame) is not frame:
                name = frame["name"]
                self.on_error(DataError(self.file, "frames.name", "once in a video", f"{name} again"))
        return list(known.values())

    def _source(self, frame: dict[str, Any]) -> str:
        return f"{self.file}: {frame['name']}"


def save_clip(root: Path, clip: Clip, names: Sequence[str] = CLASSES) -> Iterator[None]:
    """Save a clip in the layout of `read_clips`, writing the label file last; yields after every frame."""
    entries = []
    folder = root / "images" / clip.name
    for time, path, labels in transfer(clip, lambda time: folder / stem(clip, time), (".jpg", ".png")):
        entries.append(scalabel.encode(labels, names, name=path.name, video=clip.name, time=time))
        yield
    write_bytes(root / "labels" / f"{clip.name}.json", json.dumps(entries).encode())


def write_clip(root: Path, name: str, frames: Iterable[LabeledFrame], *, quality: int = 92) -> None:
    """Save frames as a clip in the layout of `read_clips`, writing the label file last."""
    entries = []
    for time, frame in enumerate(frames):
        path = Path(root) / "images" / name / f"{time:06d}.jpg"
        write_image(path, frame.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        labels = without_image(frame)
        entries.append(scalabel.encode(labels, CLASSES, name=path.name, video=name, time=time))
    write_bytes(Path(root) / "labels" / f"{name}.json", json.dumps(entries).encode())
