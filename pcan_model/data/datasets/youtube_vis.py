"""YouTube-VIS on disk: `<split>/JPEGImages/<video>/*.jpg` with `<split>/instances.json` or `<split>.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip
from pcan_model.data.files import FileClip, LabelSource, NoLabels
from pcan_model.data.formats import youtube_vis
from pcan_model.data.formats.labels import FrameLabels
from pcan_model.data.formats.reading import OnError
from pcan_model.data.transfer import stem, transfer

LAYOUT = "<split>/JPEGImages/<video>/*.jpg with <split>/instances.json (2021) or <split>.json (2019)"
RATE = 6.0  # frames per second: every fifth of 30
HELD_OUT = 10  # every tenth video of train is in val_sub, the others in train_sub


class TubeLabels:
    """Labels of a video."""

    def __init__(self, video: youtube_vis.VideoEntry, on_error: OnError) -> None:
        self._video, self._on_error = video, on_error

    def decode(self, index: int, size: tuple[int, int] | None) -> FrameLabels | None:
        """Return the labels of a frame."""
        video = self._video
        if size is not None and size != video.size:
            raise DataError(video.files[index], "image", f"the size of the labels {video.size}", size)
        return youtube_vis.decode(video, index, self._on_error)


def matches(root: Path) -> bool:
    """Return whether a folder looks like YouTube-VIS."""
    return bool(_splits(root))


def read_clips(root: Path, split: str | None, names: Sequence[str], on_error: OnError) -> list[Clip]:
    """Open the videos of a split by name; without a split, those of all splits.

    split  a folder (train, valid, test), or train_sub or val_sub, a split of train by video names, since
           the labels of valid and test are private
    """
    splits = _splits(root)
    part = {"train_sub": "train", "val_sub": "train"}.get(split or "", split)
    if part is not None and part not in splits:
        raise DataError(root, "split", f"one of {[*splits, 'train_sub', 'val_sub']}", split)
    wanted = splits if part is None else [part]
    clips = [clip for name in wanted for clip in _open(root, name, names, on_error)]
    if split not in ("train_sub", "val_sub"):
        return clips
    return [clip for k, clip in enumerate(clips) if (k % HELD_OUT == 0) == (split == "val_sub")]


def _splits(root: Path) -> list[str]:
    folders = sorted(path.parent.name for path in root.glob("*/JPEGImages") if path.is_dir())
    return [name for name in folders if _file(root, name)]


def _file(root: Path, split: str) -> Path | None:
    files = (root / split / "instances.json", root / f"{split}.json", root / "annotations" / f"{split}.json")
    return next((file for file in files if file.is_file()), None)


def _open(root: Path, split: str, names: Sequence[str], on_error: OnError) -> list[Clip]:
    file = _file(root, split)
    assert file is not None
    videos = sorted(youtube_vis.read_videos(file, names, on_error), key=lambda video: video.name)
    images = root / split / "JPEGImages"
    return [_clip(video, images, on_error) for video in videos]


def _clip(video: youtube_vis.VideoEntry, images: Path, on_error: OnError) -> Clip:
    labels: LabelSource = NoLabels() if video.instances is None else TubeLabels(video, on_error)
    return FileClip(video.name, [images / name for name in video.files], labels, rate=RATE)


class Writer:
    """Saves clips as a split; the label file is written on close."""

    def __init__(self, root: Path, names: Sequence[str], split: str) -> None:
        self._root, self._names, self._split = root, names, split
        self._videos: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def save_clip(self, clip: Clip) -> Iterator[None]:
        """Save a clip's images; yields after every frame."""
        tubes = youtube_vis.Tubes()
        files = []
        images = self._root / self._split / "JPEGImages"
        folder = images / clip.name
        for _, path, labels in transfer(clip, lambda time: folder / stem(clip, time), (".jpg",)):
            files.append(path.relative_to(images).as_posix())
            tubes.add(labels)
            yield
        number = len(self._videos) + 1
        self._videos.append(tubes.video(number, files))
        ids = range(1, len(self._names) + 1)
        self._annotations += tubes.annotations(number, ids, len(self._annotations) + 1)

    def close(self) -> None:
        """Save the labels."""
        data = {
            "videos": self._videos,
            "categories": youtube_vis.categories(self._names),
            "annotations": self._annotations,
        }
        write_bytes(self._root / self._split / "instances.json", json.dumps(data).encode())
