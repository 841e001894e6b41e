"""KITTI-MOTS on disk: `image_02/<sequence>/*.png` with `instances/` or `instances_txt/`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.errors import DataError
from pcan_model.core.rle import size_from
from pcan_model.data.clips import Clip
from pcan_model.data.files import (
    FileClip,
    LabelSource,
    NoLabels,
    frame_numbers,
    list_images,
    read_unchanged,
    visible,
    write_image,
)
from pcan_model.data.formats import kitti_mots
from pcan_model.data.formats.labels import FrameLabels
from pcan_model.data.formats.reading import OnError, lenient, read_all, read_rows
from pcan_model.data.transfer import transfer

LAYOUT = "image_02/<sequence>/*.png with instances/<sequence>/*.png or instances_txt/<sequence>.txt"
RATE = 10.0  # frames per second
SPLITS = {"train": kitti_mots.TRAIN, "val": kitti_mots.VAL}  # of the MOTS paper; "test" has no labels


class ImageLabels:
    """Labels of a sequence as 16-bit images."""

    def __init__(self, files: Sequence[Path], names: Sequence[str], on_error: OnError) -> None:
        self._files, self._names, self._on_error = files, names, on_error

    def decode(self, index: int, size: tuple[int, int] | None) -> FrameLabels | None:
        """Return the labels of a frame."""
        file = self._files[index]
        values = read_unchanged(file)
        if size is not None and values.shape != size:
            raise DataError(file, "image", f"the image's size {size}", values.shape)
        return kitti_mots.from_values(np.asarray(values), self._names, file, self._on_error)


class LineLabels:
    """Labels of a sequence as lines of run lengths, read on first use.

    numbers   frame numbers of the images, in order
    on_error  called with the error of each skipped line
    """

    def __init__(self, file: Path, numbers: Sequence[int], names: Sequence[str], on_error: OnError) -> None:
        self._file, self._numbers, self._names, self._on_error = file, numbers, names, on_error
        self._lines: dict[int, list[kitti_mots.Line]] | None = None

    def decode(self, index: int, size: tuple[int, int] | None) -> FrameLabels | None:
        """Return the labels of a frame."""
        if self._lines is None:
            self._lines = self._read()
        lines = self._lines.get(self._numbers[index], [])
        if size is None and lines:
            size = size_from(*lines[0].size)
        return None if size is None else kitti_mots.from_lines(lines, size, self._names, self._on_error)

    def _read(self) -> dict[int, list[kitti_mots.Line]]:
        """Read the lines, reporting those of frames without an image."""
        lines = kitti_mots.read_lines(self._file, self._on_error)
        for time in sorted(set(lines) - set(self._numbers)):
            expected = f"a frame with an image, {span(self._numbers)}"
            lenient(self._on_error)(DataError(lines[time][0].source, "time", expected, time))
        return lines


def span(numbers: Sequence[int]) -> str:
    """Return the range of some numbers, for messages."""
    return f"{min(numbers)} to {max(numbers)}" if numbers else "of none"


def matches(root: Path) -> bool:
    """Return whether a folder looks like KITTI-MOTS."""
    return (_training_folder(root) / "image_02").is_dir()


def read_clips(root: Path, split: str | None, names: Sequence[str], on_error: OnError) -> list[Clip]:
    """Open the sequences of a split by name; without a split, all of them.

    split  train or val as in `<split>.seqmap` or the MOTS paper, or test, which has no labels
    """
    if split == "test":
        images = root / "testing" / "image_02"
        return read_all(lambda folder: _clip(folder, NoLabels()), _folders(images), on_error)
    training = _training_folder(root)
    folders = {folder.name: folder for folder in _folders(training / "image_02")}
    wanted = list(folders) if split is None else _sequences(root, split)
    if missing := [name for name in wanted if name not in folders]:
        raise DataError(training / "image_02", f"split {split}", f"the sequences {missing}", list(folders))
    return read_all(
        lambda name: _clip(folders[name], _labels(root, folders[name], names, on_error)), wanted, on_error
    )


def _clip(images: Path, labels: LabelSource) -> Clip:
    return FileClip(images.name, list_images(images), labels, rate=RATE)


def _training_folder(root: Path) -> Path:
    """Return the folder of the images: `training`, if it exists, or `root` itself."""
    return root / "training" if (root / "training" / "image_02").is_dir() else root


def _folders(images: Path) -> list[Path]:
    folders = sorted(p for p in visible(images.glob("*")) if p.is_dir())
    if not folders:
        raise DataError(images, "folder", "one folder per sequence", "none")
    return folders


def _sequences(root: Path, split: str) -> Sequence[str]:
    seqmap = root / f"{split}.seqmap"
    if seqmap.is_file():
        return [_sequence(line) for _, line in read_rows(seqmap, "a seqmap")]
    if split not in SPLITS:
        raise DataError(root, "split", f"one of {[*SPLITS, 'test']} or the name of a .seqmap", split)
    return SPLITS[split]


def _sequence(line: str) -> str:
    """Return the sequence name of a line `<sequence> empty <first> <last>`; it may contain spaces."""
    name, *rest = line.strip().rsplit(maxsplit=3)
    return name if len(rest) == 3 and all(part.isdigit() for part in rest[1:]) else line.strip()


def _labels(root: Path, images: Path, names: Sequence[str], on_error: OnError) -> LabelSource:
    """Open the labels of a sequence: images if there are any, which are read lazily, else lines."""
    for base in (root, images.parent.parent):
        masks, lines = base / "instances" / images.name, base / "instances_txt" / f"{images.name}.txt"
        if masks.is_dir():
            files = [masks / f"{image.stem}.png" for image in list_images(images)]
            for path in sorted(set(masks.glob("*.png")) - set(files)):
                lenient(on_error)(DataError(path, "name", f"that of an image in {images}", path.name))
            return ImageLabels(files, names, on_error)
        if lines.is_file():
            return LineLabels(lines, frame_numbers(list_images(images)), names, on_error)
    raise DataError(root, f"labels of {images.name}", LAYOUT, "neither")


def save_clip(root: Path, clip: Clip, names: Sequence[str]) -> Iterator[None]:
    """Save a clip's images, label images and lines; yields after every frame.

    Objects of classes not in KITTI-MOTS become ignore. Raises DataError for too many objects of a class.
    """
    identities = kitti_mots.Identities()
    lines: list[str] = []
    images = root / "image_02" / clip.name
    for time, _, labels in transfer(clip, lambda time: images / f"{time:06d}", (".png",)):
        try:
            values = kitti_mots.to_values(labels, names, identities)
            lines += kitti_mots.to_lines(labels, time, names, identities)
        except OverflowError as error:
            raise DataError(clip.name, "identities", "at most 1000 per class", error) from error
        write_image(root / "instances" / clip.name / f"{time:06d}.png", values)
        yield
    text = "".join(f"{line}\n" for line in lines)
    write_bytes(root / "instances_txt" / f"{clip.name}.txt", text.encode())


def write_list(root: Path, clips: Sequence[Clip], split: str) -> None:
    """Write the sequences of a split as a seqmap."""
    text = "".join(f"{clip.name} empty 000000 {len(clip) - 1:06d}\n" for clip in clips)
    write_bytes(root / f"{split}.seqmap", text.encode())
