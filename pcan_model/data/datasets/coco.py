"""COCO on disk, stills for a first training: `<split>/*.jpg` with `annotations/instances_<split>.json`.

Each image is a clip of one frame, which training takes as its own reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip
from pcan_model.data.datasets.youtube_vis import TubeLabels
from pcan_model.data.files import FileClip
from pcan_model.data.formats import youtube_vis
from pcan_model.data.formats.reading import OnError, read_json

LAYOUT = "<split>/*.jpg with annotations/instances_<split>.json"
PREFIX = "instances_"


def matches(root: Path) -> bool:
    """Whether a folder looks like COCO."""
    return bool(_splits(root))


def read_clips(root: Path, split: str | None, names: Sequence[str], on_error: OnError) -> list[Clip]:
    """Open the images of a split, or of all without one.

    split  a folder (train2017), or its name without the year (train)
    """
    splits = _splits(root)
    wanted = [name for name in splits if split in (None, name, name.rstrip("0123456789"))]
    if not wanted:
        raise DataError(root, "split", f"one of {splits}", split)
    return [clip for name in wanted for clip in _open(root, name, names, on_error)]


def _splits(root: Path) -> list[str]:
    files = sorted(root.glob(f"annotations/{PREFIX}*.json"))
    names = [file.stem.removeprefix(PREFIX) for file in files]
    return [name for name in names if (root / name).is_dir()]


def _open(root: Path, split: str, names: Sequence[str], on_error: OnError) -> list[Clip]:
    file = root / "annotations" / f"{PREFIX}{split}.json"
    data = read_json(file, "a COCO label file")
    videos = youtube_vis.parse_videos(as_videos(data, file), file, names, on_error)
    return [
        FileClip(Path(v.files[0]).stem, [root / split / v.files[0]], TubeLabels(v, on_error), rate=1.0)
        for v in (replace(video, name=video.files[0]) for video in videos)
    ]


def as_videos(data: Any, file: Path) -> dict[str, Any]:
    """Return COCO's content in the form of YouTube-VIS: each image a video of one frame."""
    for key in ("images", "categories", "annotations"):
        if not isinstance(data, dict) or not isinstance(data.get(key), list):
            raise DataError(file, key, "a list", type(data).__name__)
    images = [image for image in data["images"] if isinstance(image, dict)]
    objects = [entry for entry in data["annotations"] if isinstance(entry, dict)]
    return {
        "categories": data["categories"],
        "videos": [image | {"file_names": [image.get("file_name")]} for image in images],
        "annotations": [
            entry | {"video_id": entry.get("image_id"), "segmentations": [entry.get("segmentation")]}
            for entry in objects
        ],
    }
