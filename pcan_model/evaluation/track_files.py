"""Writes tracks to files during tracking, in the formats of evaluation and labelling tools."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.api.tracked_frame import TrackedFrame
from pcan_model.core import rle
from pcan_model.core.atomic_write import atomic_folder
from pcan_model.core.errors import DataError, UserError
from pcan_model.data.files import write_image
from pcan_model.data.formats import bdd100k, kitti_mots, scalabel, youtube_vis
from pcan_model.data.formats.labels import BACKGROUND
from pcan_model.evaluation.labelling_files import write_cvat, write_label_studio, write_label_studio_video
from pcan_model.evaluation.metrics.comparison import Objects, objects_of
from pcan_model.evaluation.predictions import tubes_of
from pcan_model.evaluation.recording import Recording, Write, frame_labels, json_list, text_file
from pcan_model.evaluation.submission import youtube_vis_results

COLUMNS = (  # of CSV
    *("frame", "name", "time", "track_id", "class", "score", "x1", "y1", "x2", "y2"),
    *("velocity_x", "velocity_y", "height", "width", "rle"),  # rle: COCO's counts
)


@dataclass(frozen=True, slots=True)
class TrackFile:
    """A file format for tracks."""

    about: str
    open: Callable[[Path, Recording], AbstractContextManager[Write]]
    folder: bool = False  # whether it is a folder of images


@dataclass(frozen=True, slots=True)
class Target:
    """A file or folder to write."""

    kind: str  # of TRACK_FILES
    path: Path


def read_target(text: str) -> Target:
    """Read FORMAT:PATH; raises UserError for invalid text, DataError for a path that cannot be written."""
    kind, colon, name = text.partition(":")
    if not colon or not name or kind not in TRACK_FILES:
        raise UserError(f"write: expected FORMAT:PATH with one of {', '.join(TRACK_FILES)}; got {text!r}")
    path = Path(name)
    if TRACK_FILES[kind].folder and path.exists():
        raise DataError(path, kind, "a folder that does not exist", "one that does")
    if path.is_dir():
        raise DataError(path, kind, "the name of a file to write", "a folder")
    return Target(kind, path)


@contextmanager
def write_tracks(targets: Sequence[Target], recording: Recording) -> Iterator[Write]:
    """Yield a function to call with every frame; the files appear when the block ends without an error."""
    with ExitStack() as files:
        writes = [files.enter_context(TRACK_FILES[t.kind].open(t.path, recording)) for t in targets]

        def write(frame: TrackedFrame) -> None:
            for each in writes:
                each(frame)

        yield write


@contextmanager
def _kitti_mots(path: Path, recording: Recording) -> Iterator[Write]:
    identities = kitti_mots.Identities()

    def write(frame: TrackedFrame) -> None:
        labels, number = frame_labels(frame), recording.number(frame)
        lines = kitti_mots.to_lines(labels, number, recording.classes, identities, other=BACKGROUND)
        out.writelines(f"{line}\n" for line in lines)

    with text_file(path) as out:
        yield write


@contextmanager
def _mot_challenge(path: Path, _: Recording) -> Iterator[Write]:
    def write(frame: TrackedFrame) -> None:
        for each in frame.objects:
            x1, y1, x2, y2 = (float(side) for side in each.box)
            box = f"{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}"
            out.write(f"{frame.index + 1},{each.track_id},{box},{each.score:.4f},-1,-1,-1\n")

    with text_file(path) as out:
        yield write


@contextmanager
def _csv(path: Path, recording: Recording) -> Iterator[Write]:
    def write(frame: TrackedFrame) -> None:
        place = recording.number(frame), frame.name, f"{frame.time:.9f}"
        for each, label, mask in zip(frame.objects, frame.labels, frame.masks, strict=True):
            box = [f"{side:.2f}" for side in (*each.box, *each.velocity)]
            runs = rle.encode(mask)
            row = [*place, each.track_id, label, f"{each.score:.4f}", *box, *runs["size"], runs["counts"]]
            rows.writerow(row)

    with text_file(path) as out:
        rows = csv.writer(out)
        rows.writerow(COLUMNS)
        yield write


@contextmanager
def _scalabel(path: Path, recording: Recording) -> Iterator[Write]:
    def write(frame: TrackedFrame) -> None:
        encode = partial(scalabel.encode, name=frame.name, video=recording.name, time=frame.index)
        add(encode(frame_labels(frame), recording.classes, other=BACKGROUND))

    with text_file(path) as out, json_list(out) as add:
        yield write


@contextmanager
def _coco_results(path: Path, recording: Recording) -> Iterator[Write]:
    def write(frame: TrackedFrame) -> None:
        for entry in frame.to_coco(recording.number(frame)):
            add(entry)

    with text_file(path) as out, json_list(out) as add:
        yield write


@contextmanager
def _coco(path: Path, recording: Recording) -> Iterator[Write]:
    images: list[dict[str, Any]] = []
    ids = count(1)  # of annotations

    def write(frame: TrackedFrame) -> None:
        number, (height, width) = recording.number(frame), frame.image.shape[:2]
        images.append({"id": number, "file_name": frame.name, "height": height, "width": width})
        for entry in frame.to_coco(number):
            add({"id": next(ids)} | entry)

    with text_file(path) as out:
        out.write('{"annotations": ')
        with json_list(out) as add:
            yield write
        out.write(f', "images": {json.dumps(images)}')
        out.write(f', "categories": {json.dumps(youtube_vis.categories(recording.classes))}}}')


@contextmanager
def _youtube_vis(path: Path, _: Recording) -> Iterator[Write]:
    found: list[Objects] = []
    with text_file(path) as out:
        yield lambda frame: found.append(objects_of(frame.tracks))
        json.dump(youtube_vis_results(tubes_of(tuple(found)), 1, {}), out)


def _save(folder: Path, frame: TrackedFrame, image: NDArray[Any]) -> None:
    """Write the image of a frame as PNG; raises DataError if the name is already used."""
    path = folder / f"{Path(frame.name).stem}.png"
    if path.exists():
        raise DataError(frame.name, "name", "another one than that of an earlier image", path.name)
    write_image(path, image)


@contextmanager
def _bdd100k(path: Path, recording: Recording) -> Iterator[Write]:
    numbers = bdd100k.identities()

    def write(frame: TrackedFrame) -> None:
        image = bdd100k.to_bitmask(frame_labels(frame), recording.classes, numbers, other=BACKGROUND)
        _save(folder / recording.name, frame, image[..., [2, 1, 0, 3]])  # OpenCV's order

    with atomic_folder(path) as folder:
        yield write


@contextmanager
def _masks(path: Path, _: Recording) -> Iterator[Write]:
    def write(frame: TrackedFrame) -> None:
        labels = frame_labels(frame)
        if labels.ids.max(initial=0) > np.iinfo(np.uint16).max:
            raise OverflowError(f"{path}: expected track ids up to 65535, got {labels.ids.max()}")
        ids = np.array([0, 0, *labels.ids], np.uint16)
        _save(folder, frame, ids[labels.index + 1])

    with atomic_folder(path) as folder:
        yield write


TRACK_FILES = {
    "kitti_mots": TrackFile("lines of run lengths (.txt); cars and pedestrians only, no scores", _kitti_mots),
    "mot_challenge": TrackFile("lines of boxes (.txt); no classes, no masks", _mot_challenge),
    "scalabel": TrackFile("Scalabel JSON with run lengths, as in BDD100K", _scalabel),
    "bdd100k": TrackFile("folder of RGBA bitmasks of class and id; no scores", _bdd100k, folder=True),
    "youtube_vis": TrackFile("results.json of YouTube-VIS, a mask per track and frame; no ids", _youtube_vis),
    "coco": TrackFile("COCO JSON with images, categories, and annotations with track_id", _coco),
    "coco_results": TrackFile("list of detections for COCO's evaluation, with track_id", _coco_results),
    "cvat": TrackFile("CVAT for video 1.1 (XML), mask tracks; one class per track, no scores", write_cvat),
    "label_studio": TrackFile("Label Studio tasks with brush masks, one per image", write_label_studio),
    "label_studio_video": TrackFile(
        "a Label Studio task with boxes of tracks; one class per track, no masks, no scores",
        write_label_studio_video,
    ),
    "csv": TrackFile("one line per object: frame, time, id, class, score, box, velocity, run lengths", _csv),
    "masks": TrackFile("folder of 16-bit PNG, the track id of each pixel; no classes", _masks, folder=True),
}
