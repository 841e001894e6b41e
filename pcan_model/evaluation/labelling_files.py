"""Writers of tracks for labelling tools: CVAT and Label Studio."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pcan_model.api.tracked_frame import TrackedFrame
from pcan_model.core.errors import DataError
from pcan_model.data.files import RATE
from pcan_model.data.formats import cvat, label_studio
from pcan_model.evaluation.recording import Recording, Write, json_list, text_file


@contextmanager
def write_cvat(path: Path, recording: Recording) -> Iterator[Write]:
    """Yield a function that takes every frame; the file appears when the block ends without an error.

    CVAT for video 1.1: all images have one size, each track one class, its most frequent.
    """
    masks: dict[int, dict[int, dict[str, str]]] = {}  # by track and frame
    votes: dict[int, Counter[str]] = {}
    sizes: list[tuple[int, int]] = []

    def write(frame: TrackedFrame) -> None:
        sizes.append((frame.tracks.height, frame.tracks.width))
        if sizes[-1] != sizes[0]:
            raise DataError(path, frame.name, f"an image of {sizes[0]}, as the first", sizes[-1])
        for each, label in zip(frame.objects, frame.labels, strict=True):
            if each.mask.area:
                masks.setdefault(each.track_id, {})[frame.index] = cvat.encode_mask(each.mask)
                votes.setdefault(each.track_id, Counter())[label] += 1

    with text_file(path) as out:
        yield write
        tracks = [cvat.MaskTrack(n, votes[n].most_common(1)[0][0], found) for n, found in masks.items()]
        size = sizes[0] if sizes else (0, 0)
        out.write(cvat.encode(tracks, recording.classes, name=recording.name, frames=len(sizes), size=size))


@contextmanager
def write_label_studio(path: Path, recording: Recording) -> Iterator[Write]:
    """Yield a function that takes every frame; the file appears when the block ends without an error.

    Label Studio: a task per image, with brush masks.
    """

    def write(frame: TrackedFrame) -> None:
        rows = zip(frame.objects, frame.labels, frame.masks, strict=True)
        result = [
            label_studio.brush_region(each.track_id, label, mask, float(each.score))
            for each, label, mask in rows
            if mask.any()
        ]
        data = {"image": frame.name, "clip": recording.name, "frame": recording.number(frame)}
        add({"data": data, "predictions": [{"model_version": "pcan", "result": result}]})

    with text_file(path) as out, json_list(out) as add:
        yield write


@contextmanager
def write_label_studio_video(path: Path, recording: Recording) -> Iterator[Write]:
    """Yield a function that takes every frame; the file appears when the block ends without an error.

    Label Studio: one task with the boxes of all tracks in per cent of the image; each track has one class.
    """
    boxes: dict[int, dict[int, label_studio.Box]] = {}  # by track and frame
    votes: dict[int, Counter[str]] = {}
    times: list[float] = []

    def write(frame: TrackedFrame) -> None:
        times.append(frame.time)
        height, width = frame.image.shape[:2]
        for each, label in zip(frame.objects, frame.labels, strict=True):
            x1, y1, x2, y2 = (float(side) for side in each.box)
            box = x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height
            x, y, w, h = (100 * side for side in box)
            boxes.setdefault(each.track_id, {})[frame.index] = x, y, w, h
            votes.setdefault(each.track_id, Counter())[label] += 1

    with text_file(path) as out:
        yield write
        span = times[-1] - times[0] if times else 0.0
        rate = (len(times) - 1) / span if span > 0 else RATE
        result = [
            label_studio.video_region(n, votes[n].most_common(1)[0][0], found, len(times), rate)
            for n, found in boxes.items()
        ]
        prediction = {"model_version": "pcan", "result": result}
        json.dump([{"data": {"video": recording.name}, "predictions": [prediction]}], out)
