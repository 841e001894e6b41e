"""Runs to look at: the folder of an evaluation, or the tracks of a video as COCO."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pcan_model.core import rle
from pcan_model.core.config import CLASSES
from pcan_model.core.errors import DataError
from pcan_model.data.formats.reading import read_json
from pcan_model.evaluation.metrics.comparison import Objects
from pcan_model.evaluation.predictions import ClipPredictions, read_predictions
from pcan_model.evaluation.report.worst_frames import worst_frames
from pcan_model.evaluation.run import FOLDER

EXPECTED = "the folder of pcan-evaluate --out, or a file of pcan-track --write coco:FILE"
NOTHING = Objects((), np.zeros(0, np.int64), np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class ViewedRun:
    """Clips with tracks, and with ground truth if it is known."""

    name: str
    classes: tuple[str, ...]
    clips: tuple[ClipPredictions, ...]
    labelled: bool

    def clip(self, name: str) -> ClipPredictions | None:
        """Return a clip by name; a run of one file fits any single clip."""
        named = {clip.name: clip for clip in self.clips}
        return named.get(name) if self.labelled or name in named else self.clips[0]

    def errors(self, clip: ClipPredictions) -> list[int]:
        """Return the number of errors of each frame: misses, false objects, and ID switches times three.

        Without ground truth it is the number of ids that appear or disappear.
        """
        if not self.labelled:
            ids = [set(frame.ids.tolist()) for frame in clip.predicted]
            return [len(now ^ before) for before, now in zip(ids[:1] + ids[:-1], ids, strict=True)]
        counts = [0] * len(clip)
        for worst in worst_frames(clip, len(self.classes)):
            counts[worst.frame] = worst.severity + worst.false
        return counts


def read_run(path: Path) -> ViewedRun:
    """Read a run; raises DataError for anything but EXPECTED."""
    if path.is_dir():
        return _read_evaluation(path)
    if not path.is_file():
        raise DataError(path, "run", EXPECTED, "nothing there")
    return _read_coco(path)


def _read_evaluation(folder: Path) -> ViewedRun:
    files = sorted((folder / FOLDER).glob("*.json"))
    clips = tuple(found for file in files if (found := read_predictions(file)) is not None)
    if not clips:
        raise DataError(folder, FOLDER, EXPECTED, "no predictions")
    report = folder / "report.json"
    names = read_json(report, "a report").get("class_names") if report.is_file() else None
    return ViewedRun(folder.name, tuple(names or CLASSES), clips, labelled=True)


def _read_coco(file: Path) -> ViewedRun:
    data = read_json(file, EXPECTED)
    try:
        names = {int(entry["id"]): str(entry["name"]) for entry in data["categories"]}
        labels = {category: label for label, category in enumerate(sorted(names))}
        entries: dict[int, list[dict[str, Any]]] = {int(image["id"]): [] for image in data["images"]}
        for entry in data["annotations"]:
            entries[int(entry["image_id"])].append(entry)
        sizes = tuple((int(image["height"]), int(image["width"])) for image in data["images"])
        found = tuple(_objects(each, labels, file) for each in entries.values())
        files = tuple(str(image["file_name"]) for image in data["images"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(file, "run", EXPECTED, f"{type(error).__name__}: {error}") from error
    if not files:
        raise DataError(file, "images", "some", "none")
    nothing = (NOTHING,) * len(files)
    clip = ClipPredictions(file.stem, "", files, sizes, nothing, found, (None,) * len(files))
    return ViewedRun(file.stem, tuple(names[each] for each in sorted(names)), (clip,), labelled=False)


def _objects(entries: Sequence[dict[str, Any]], labels: dict[int, int], file: Path) -> Objects:
    return Objects(
        tuple(rle.check(entry["segmentation"], file=file, key="segmentation") for entry in entries),
        np.array([labels[int(entry["category_id"])] for entry in entries], np.int64),
        np.array([int(entry["track_id"]) for entry in entries], np.int64),
        np.array([float(entry["score"]) for entry in entries], np.float64),
    )


def plain(objects: Objects) -> list[dict[str, Any]]:
    """Return objects as plain values for the page."""
    scores = objects.scores.tolist() or [None] * len(objects.ids)
    rows = zip(objects.ids.tolist(), objects.labels.tolist(), objects.rles, scores, strict=True)
    return [
        {"id": number, "label": label, "rle": _text(run["counts"])}
        | ({} if score is None else {"score": score})
        for number, label, run, score in rows
    ]


def _text(counts: str | bytes) -> str:
    return counts.decode("ascii") if isinstance(counts, bytes) else counts


def as_script(name: str, value: Any) -> bytes:
    """Return a script that assigns a value to a name; pages opened from disk can load nothing else."""
    return f"{name} = {json.dumps(value)};\n".replace("</", "<\\/").encode()
