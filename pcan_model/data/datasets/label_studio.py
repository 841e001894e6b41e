"""Label Studio's export on disk: `label_studio.json` and `images/`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip
from pcan_model.data.datasets.scalabel import ScalabelLabels
from pcan_model.data.files import RATE, FileClip, list_images, read_image
from pcan_model.data.formats.label_studio import Task, read_tasks
from pcan_model.data.formats.reading import OnError
from pcan_model.data.formats.scalabel import Label

ANNOTATIONS = "label_studio.json"
LAYOUT = f"{ANNOTATIONS} (JSON export) with images/, those of its tasks or all frames of its video"
UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the names of uploaded files


def matches(root: Path) -> bool:
    """Return whether a folder has this layout."""
    return (root / ANNOTATIONS).is_file() and (root / "images").is_dir()


def read_set(root: Path, names: Sequence[str], on_error: OnError) -> list[Clip]:
    """Open a folder as one clip: the frames of its video, or the images of its tasks in natural order.

    Images without a task are left out, since it is unknown whether they are empty.
    """
    file = root / ANNOTATIONS
    tasks = read_tasks(file, names, on_error)
    images = list_images(root / "images")
    if any(task.video for task in tasks):
        frames = _frames_of_video(tasks, images, file)
    else:
        known = {path.name: path for path in images}
        by_task = {_image(task, known, file): task.frames.get(0, ()) for task in tasks}
        frames = {path: by_task[path] for path in images if path in by_task}
    if not frames:
        raise DataError(file, "tasks", "some with an image", "none")
    sources = [f"{file}: {path.name}" for path in frames]
    labels = ScalabelLabels(list(frames.values()), sources, on_error)
    return [FileClip(root.absolute().name, list(frames), labels, rate=RATE)]


def _image(task: Task, known: Mapping[str, Path], file: Path) -> Path:
    """Return the image of a task, with or without the prefix of an upload."""
    for name in (task.source, UPLOADED.sub("", task.source, count=1)):
        if name in known:
            return known[name]
    raise DataError(file, task.source, f"an image in images/, such as {next(iter(known))}", "none")


def _frames_of_video(
    tasks: Sequence[Task], images: Sequence[Path], file: Path
) -> dict[Path, tuple[Label, ...]]:
    """Return the objects by image; the boxes of a video are shares of its size."""
    if len(tasks) != 1:
        raise DataError(file, "tasks", "one video, with its frames in images/", f"{len(tasks)} tasks")
    (task,) = tasks
    if (last := max(task.frames, default=-1)) >= len(images):
        raise DataError(file, task.source, f"frames up to {len(images)}, as in images/", last + 1)
    height, width = read_image(images[0]).shape[:2]
    frames: dict[Path, tuple[Label, ...]] = {}
    for index, path in enumerate(images):
        frames[path] = tuple(_scaled(label, height, width) for label in task.frames.get(index, ()))
    return frames


def _scaled(label: Label, height: int, width: int) -> Label:
    assert label.box is not None
    x1, y1, x2, y2 = label.box  # of an image of one pixel, inclusive
    return replace(label, box=(x1 * width, y1 * height, (x2 + 1) * width - 1, (y2 + 1) * height - 1))
