"""Predictions and ground truth of a clip, collected once and stored as JSON for scoring."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.atomic_write import write_bytes
from pcan_model.data.clips import IGNORE, Clip, ClipFrame
from pcan_model.evaluation.metrics.average_precision import Tube, Video
from pcan_model.evaluation.metrics.comparison import Objects, encode, objects_of
from pcan_model.evaluation.predict import ClipPredictor


@dataclass(frozen=True, slots=True, eq=False)
class ClipPredictions:
    """Ground truth and predictions of a clip with T frames; masks as run lengths."""

    name: str
    key: str  # hash of the settings
    image_files: tuple[str, ...]  # (T,) file names
    sizes: tuple[tuple[int, int], ...]  # (T,) H, W in pixels
    ground_truth: tuple[Objects, ...]  # (T,)
    predicted: tuple[Objects, ...]  # (T,)
    seconds: tuple[float | None, ...]  # (T,) from image to tracks; None: dropped in real time

    def __len__(self) -> int:
        return len(self.ground_truth)

    def only(self, known: Sequence[str], classes: Sequence[str]) -> ClipPredictions:
        """Return the objects of some classes only; labels change from an index into `known` to `classes`."""
        table = np.array([classes.index(name) if name in classes else -1 for name in known])
        ground_truth, predicted = (
            tuple(_only(o, table) for o in frames) for frames in (self.ground_truth, self.predicted)
        )
        return replace(self, ground_truth=ground_truth, predicted=predicted)

    def video(self) -> Video:
        """Return its objects as tubes, without ignored regions."""
        return Video(_tubes(self.ground_truth), self.tubes())

    def tubes(self) -> tuple[Tube, ...]:
        """Return the tracks as tubes."""
        return tubes_of(self.predicted)


def collect_predictions(
    predictor: ClipPredictor, clip: Clip, key: str = "", progress: Callable[[], object] = lambda: None
) -> ClipPredictions:
    """Collect the predictions and the ground truth of a clip, reading each frame once."""
    ground_truth, predicted, sizes, seconds = [], [], [], []
    for one in predictor(clip):
        ground_truth.append(ground_truth_of(one.frame))
        predicted.append(objects_of(one.tracks))
        sizes.append((one.tracks.height, one.tracks.width))
        seconds.append(None if one.dropped else one.seconds)
        progress()
    image_files = images_of(clip)
    return ClipPredictions(
        clip.name, key, image_files, tuple(sizes), tuple(ground_truth), tuple(predicted), tuple(seconds)
    )


def ground_truth_of(frame: ClipFrame) -> Objects:
    """Return the labels of a frame; every ignored object becomes an ignored region."""
    labels = frame.objects()
    counted = labels.objects()
    regions = [labels.index == IGNORE, *labels.masks()[labels.ignored]]
    ignore = encode(region for region in regions if region.any())
    return Objects(encode(counted.masks()), counted.labels, counted.ids, ignore=ignore)


def images_of(clip: Clip) -> tuple[str, ...]:
    """Return the file names of a clip's frames."""
    return tuple(clip.file_name(index) for index in range(len(clip)))


def _only(objects: Objects, table: NDArray[np.int64]) -> Objects:
    labels = table[objects.labels]
    kept = np.flatnonzero(labels >= 0)
    rles = tuple(objects.rles[k] for k in kept)
    scores = objects.scores[kept] if len(objects.scores) else objects.scores
    return Objects(rles, labels[kept], objects.ids[kept], scores, objects.ignore)


def by_majority(frames: tuple[Objects, ...]) -> tuple[Objects, ...]:
    """Give every object the class that its track has in most frames; of equally many the first."""
    votes: dict[int, Counter[int]] = defaultdict(Counter)
    for frame in frames:
        for number, label in zip(frame.ids.tolist(), frame.labels.tolist(), strict=True):
            votes[number][label] += 1
    most = {number: counted.most_common(1)[0][0] for number, counted in votes.items()}
    labels = (np.array([most[number] for number in frame.ids.tolist()], np.int64) for frame in frames)
    return tuple(replace(frame, labels=own) for frame, own in zip(frames, labels, strict=True))


def tubes_of(predicted: tuple[Objects, ...]) -> tuple[Tube, ...]:
    """Return the tracks of T frames as tubes: each of its most frequent class, with its mean score."""
    return _tubes(by_majority(predicted))


def _tubes(frames: tuple[Objects, ...]) -> tuple[Tube, ...]:
    """Collect objects over the frames; a track's score is the mean over its frames."""
    tubes: dict[tuple[int, int], dict[int, int]] = {}
    for time, frame in enumerate(frames):
        for k, key in enumerate(zip(frame.labels.tolist(), frame.ids.tolist(), strict=True)):
            tubes.setdefault(key, {})[time] = k
    return tuple(_tube(frames, label, where) for (label, _), where in tubes.items())


def _tube(frames: tuple[Objects, ...], label: int, where: dict[int, int]) -> Tube:
    rles = [frame.rles[where[t]] if t in where else None for t, frame in enumerate(frames)]
    scores = [float(frames[t].scores[k]) for t, k in where.items() if len(frames[t].scores)]
    return Tube(label, tuple(rles), float(np.mean(scores)) if scores else 1.0)


def write_predictions(path: Path, predictions: ClipPredictions) -> None:
    """Write predictions as JSON, atomically."""
    frames = [
        {
            "image": predictions.image_files[t],
            "size": predictions.sizes[t],
            "seconds": predictions.seconds[t],
            "ground_truth": _plain(predictions.ground_truth[t]),
            "predicted": _plain(predictions.predicted[t]),
        }
        for t in range(len(predictions))
    ]
    plain = {"name": predictions.name, "key": predictions.key, "frames": frames}
    write_bytes(path, json.dumps(plain).encode())


def read_predictions(path: Path, key: str | None = None) -> ClipPredictions | None:
    """Read predictions; None if missing or of other settings than those of `key`, if given."""
    try:
        plain = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(plain, dict) or (key is not None and plain.get("key") != key):
        return None
    frames = plain["frames"]
    return ClipPredictions(
        plain["name"],
        plain["key"],
        tuple(frame["image"] for frame in frames),
        tuple((frame["size"][0], frame["size"][1]) for frame in frames),
        tuple(_objects(frame["ground_truth"], frame["size"]) for frame in frames),
        tuple(_objects(frame["predicted"], frame["size"]) for frame in frames),
        tuple(frame["seconds"] for frame in frames),
    )


def _plain(objects: Objects) -> dict[str, Any]:
    return {
        "rles": [rle["counts"].decode("ascii") for rle in objects.rles],
        "labels": objects.labels.tolist(),
        "ids": objects.ids.tolist(),
        "scores": objects.scores.tolist(),
        "ignore": [rle["counts"].decode("ascii") for rle in objects.ignore],
    }


def _objects(plain: dict[str, Any], size: list[int]) -> Objects:
    rles, ignore = (
        tuple({"size": size, "counts": counts.encode("ascii")} for counts in plain[key])
        for key in ("rles", "ignore")
    )
    return Objects(
        rles,
        np.array(plain["labels"], np.int64),
        np.array(plain["ids"], np.int64),
        np.array(plain["scores"], np.float64),
        ignore,
    )
