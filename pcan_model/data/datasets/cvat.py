"""CVAT for video 1.1 on disk, as exported with images: `annotations.xml` and `images/`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip
from pcan_model.data.datasets.scalabel import ScalabelLabels
from pcan_model.data.files import RATE, FileClip, list_images
from pcan_model.data.formats import cvat
from pcan_model.data.formats.reading import OnError

ANNOTATIONS = "annotations.xml"
LAYOUT = f"{ANNOTATIONS} (CVAT for video 1.1) with images/frame_<number>.*, or images in the task's order"
NUMBERED = re.compile(r"frame_(\d{1,9})", re.ASCII)


def matches(root: Path) -> bool:
    """Return whether a folder has this layout."""
    return (root / ANNOTATIONS).is_file() and (root / "images").is_dir()


def read_set(root: Path, names: Sequence[str], on_error: OnError) -> list[Clip]:
    """Open the video of a folder; its frames are those whose images are there."""
    file = root / ANNOTATIONS
    frames = cvat.read_tracks(file, names, on_error)
    images = _by_frame(list_images(root / "images"))
    if lost := sorted(set(frames) - set(images)):
        on_error(DataError(file, "frames", "an image for every frame with objects", f"none for {lost[:5]}"))
    sources = [f"{file}: frame {frame}" for frame in images]
    labels = ScalabelLabels([frames.get(frame, ()) for frame in images], sources, on_error)
    return [FileClip(root.absolute().name, list(images.values()), labels, rate=RATE)]


def _by_frame(images: Sequence[Path]) -> dict[int, Path]:
    """Return the images by the number of their frame, in order."""
    numbers = [NUMBERED.fullmatch(path.stem) for path in images]
    if all(numbers):
        return dict(
            sorted((int(found[1]), path) for found, path in zip(numbers, images, strict=True) if found)
        )
    return dict(enumerate(images))
