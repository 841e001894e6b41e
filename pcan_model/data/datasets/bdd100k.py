"""BDD100K on disk: `images/<set>/<split>/…` and `labels/<task>/…`, for four of its tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip
from pcan_model.data.datasets import scalabel
from pcan_model.data.files import FileClip, list_images, read_unchanged, visible, write_image
from pcan_model.data.formats import bdd100k
from pcan_model.data.formats.labels import FrameLabels
from pcan_model.data.formats.reading import OnError, read_all
from pcan_model.data.transfer import stem, transfer

KINDS = ("bitmasks", "rles", "polygons")  # of masks, in order of preference: bitmasks are read lazily
SPLITS = ("train", "val")


@dataclass(frozen=True, slots=True)
class Task:
    """File layout of one of BDD100K's tasks."""

    images: str  # folder below images/
    labels: str  # folder below labels/
    stills: str = ""  # label file of a split is `<stills>_<split>.json`; none for videos
    masks: bool = True  # has a folder per kind of mask; else boxes only

    def matches(self, root: Path) -> bool:
        """Return whether a folder contains the task."""
        return (root / "labels" / self.labels).is_dir() and (root / "images" / self.images).is_dir()

    def layout(self) -> str:
        """Return the expected files."""
        kinds = f"{{{','.join(KINDS)}}}/" if self.masks else ""
        labels = f"{self.stills}_<split>.json" if self.stills else "<split>/<video>"
        return f"images/{self.images}/<split>/… with labels/{self.labels}/{kinds}{labels}"


SEG_TRACK = Task("seg_track_20", "seg_track_20")
INS_SEG = Task("10k", "ins_seg", stills="ins_seg")
BOX_TRACK = Task("track", "box_track_20", masks=False)
DET = Task("100k", "det_20", stills="det", masks=False)


class BitmaskLabels:
    """Labels of a clip as RGBA bitmask images."""

    def __init__(self, files: Sequence[Path], names: Sequence[str], on_error: OnError) -> None:
        self._files, self._names, self._on_error = files, names, on_error

    def decode(self, index: int, size: tuple[int, int] | None) -> FrameLabels | None:
        """Return the labels of a frame."""
        file = self._files[index]
        image = read_bitmask(file)
        if size is not None and image.shape[:2] != size:
            raise DataError(file, "image", f"the image's size {size}", image.shape[:2])
        return bdd100k.from_bitmask(image, self._names, file, self._on_error)


def read_bitmask(file: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Decode an RGBA bitmask image, (H, W, 4); raises DataError for any other image."""
    image = read_unchanged(file)
    if image.ndim != 3 or image.shape[2] != 4:
        raise DataError(file, "image", "(H, W, 4), RGBA", image.shape)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA))


def read_clips(
    root: Path, split: str | None, names: Sequence[str], on_error: OnError, *, task: Task
) -> list[Clip]:
    """Open the clips of a split by name; without a split, those of all labelled splits."""
    splits = [split] if split else [name for name in SPLITS if _labels(root, task, name)]
    clips: list[Clip] = []
    for name in splits:
        labels = _labels(root, task, name)
        if labels is None:
            raise DataError(root / "labels" / task.labels, f"split {name}", task.layout(), "none")
        clips += _open(labels, root / "images" / task.images / name, names, on_error)
    if not clips:
        on_error(DataError(root / "labels" / task.labels, "splits", task.layout(), "no clips"))
    return clips


def _labels(root: Path, task: Task, split: str) -> Path | None:
    """Return the folder or file of a split's labels, of the first kind that exists."""
    base = root / "labels" / task.labels
    for folder in [base / kind for kind in KINDS] if task.masks else [base]:
        for path in (folder / split, folder / f"{task.stills}_{split}.json"):
            if path.exists():
                return path
    return None


def _open(labels: Path, images: Path, names: Sequence[str], on_error: OnError) -> list[Clip]:
    if labels.is_file():
        return scalabel.read_stills(labels, images, names, on_error)
    if files := sorted(visible(labels.glob("*.json"))):
        return read_all(
            lambda file: scalabel.read_video(file, images / file.stem, names, on_error), files, on_error
        )
    folders = sorted(p for p in visible(labels.iterdir()) if p.is_dir())
    if folders:
        return read_all(
            lambda f: _bitmask_clip(f.name, list_images(f), images / f.name, names, on_error),
            folders,
            on_error,
        )
    return [_bitmask_clip(file.stem, [file], images, names, on_error) for file in list_images(labels)]


def _bitmask_clip(
    name: str, files: Sequence[Path], images: Path, names: Sequence[str], on_error: OnError
) -> Clip:
    image_files = [images / f"{file.stem}.jpg" for file in files]
    return FileClip(name, image_files, BitmaskLabels(files, names, on_error), rate=scalabel.RATE)


def save_clip(root: Path, clip: Clip, names: Sequence[str], split: str) -> Iterator[None]:
    """Save a clip's images and bitmasks in the layout of `seg_track_20`; yields after every frame."""
    numbers = bdd100k.identities()
    images = root / "images" / SEG_TRACK.images / split / clip.name
    masks = root / "labels" / SEG_TRACK.labels / "bitmasks" / split / clip.name
    for time, _, labels in transfer(clip, lambda time: images / stem(clip, time), (".jpg",)):
        image = bdd100k.to_bitmask(labels, names, numbers)
        write_image(masks / f"{stem(clip, time)}.png", cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA))
        yield
