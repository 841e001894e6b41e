"""Writing of the page: index.html, run.js, and a script and the images of every clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2

from pcan_model.core.atomic_write import atomic_folder, write_bytes
from pcan_model.core.errors import DataError
from pcan_model.data.clips import Clip, ClipFrame, check_names
from pcan_model.data.files import write_image
from pcan_model.evaluation.predictions import ClipPredictions
from pcan_model.viewer.runs import ViewedRun, as_script, plain

PAGE = Path(__file__).with_name("page.html")
WORST = 20  # moments to list
WritePictures = Callable[[Clip, Path], dict[int, list[dict[str, Any]]]]
QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 82]


def write_view(
    runs: Sequence[ViewedRun],
    clips: Sequence[Clip],
    out: Path,
    *,
    width: int = 960,
    pictures: WritePictures | None = None,
    progress: Callable[[], object] = lambda: None,
) -> Path:
    """Write the page to a new folder; returns the file to open.

    runs      one or two, of the same clips
    clips     the images
    width     largest width of the written images, pixels
    pictures  writes pictures of the objects of a clip to a folder; returns them by frame

    Raises DataError if a run's clip or one of its frames has no images.
    """
    check_names(clips, out)
    if out.exists():
        raise DataError(out, "out", "a folder that does not exist", "one that does")
    wanted = runs[0].clips if runs[0].labelled else (_renamed(runs[0], clips),)
    images = {clip.name: clip for clip in clips}
    worst: list[dict[str, Any]] = []
    with atomic_folder(out) as partial:
        for number, first in enumerate(wanted):
            if first.name not in images:
                raise DataError(
                    out, "data", f"images of the clip {first.name}", f"clips {sorted(images)[:8]}"
                )
            frames = _frames(runs, first)
            for index in _write_images(
                images[first.name], len(frames), partial / "images" / str(number), width
            ):
                frames[index]["image"] = f"{number}/{index:06d}.jpg"
                progress()
            if missing := [each["name"] for each in frames if "image" not in each]:
                raise DataError(
                    out, first.name, f"images of all {len(frames)} frames", f"none of {missing[:3]}"
                )
            if pictures is not None:
                drawn = pictures(images[first.name], partial / "prototypes" / str(number))
                for time, entries in drawn.items():
                    frames[time]["prototypes"] = entries
            known = {"name": first.name, "rate": images[first.name].rate, "labelled": runs[0].labelled}
            script = as_script(f"window.CLIPS[{number}]", known | {"frames": frames})
            write_bytes(partial / "clips" / f"{number}.js", script)
            worst += _moments(frames, number)
        shown = _index(runs, [clip.name for clip in wanted], worst)
        write_bytes(partial / "run.js", as_script("window.RUN", shown))
        write_bytes(partial / "index.html", PAGE.read_bytes())
    return out / "index.html"


def _write_images(clip: Clip, count: int, folder: Path, width: int) -> Iterator[int]:
    """Write the images of the first `count` frames of a clip; yields the number of each."""
    for frame in clip.frames():
        if frame.number < count:
            _save(frame, folder / f"{frame.number:06d}.jpg", width)
            yield frame.number


def _index(runs: Sequence[ViewedRun], clips: list[str], worst: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the page shows beside the clips."""
    return {
        "title": " and ".join(run.name for run in runs),
        "classes": list(runs[0].classes),
        "runs": _names(runs),
        "clips": clips,
        "worst": sorted(worst, key=lambda each: -each["badness"])[:WORST],
    }


def _names(runs: Sequence[ViewedRun]) -> list[str]:
    """Return different names for the runs."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [f"{name} ({k})" for k, name in enumerate(names, 1)]


def _renamed(run: ViewedRun, clips: Sequence[Clip]) -> ClipPredictions:
    """Return the only clip of a run of tracks, with the name of the only clip of images."""
    if len(clips) != 1:
        raise DataError(run.name, "data", "one video or folder of images", [clip.name for clip in clips][:5])
    return replace(run.clips[0], name=clips[0].name)


def _frames(runs: Sequence[ViewedRun], first: ClipPredictions) -> list[dict[str, Any]]:
    """Return the frames of a clip with the objects of all runs as plain values."""
    found = [run.clip(first.name) for run in runs]
    for run, clip in zip(runs, found, strict=True):
        if clip is None or len(clip) != len(first) or run.classes != runs[0].classes:
            expected = f"{first.name} with {len(first)} frames and the same classes"
            raise DataError(run.name, "run", expected, "none" if clip is None else f"{len(clip)} frames")
    clips = [clip for clip in found if clip is not None]
    errors = [run.errors(clip) for run, clip in zip(runs, clips, strict=True)]
    return [
        {
            "name": first.image_files[time],
            "size": list(first.sizes[time]),
            "truth": plain(first.ground_truth[time]),
            "runs": [plain(clip.predicted[time]) for clip in clips],
            "errors": [counts[time] for counts in errors],
        }
        for time in range(len(first))
    ]


def _moments(frames: Sequence[dict[str, Any]], clip: int) -> list[dict[str, Any]]:
    """Return the frames with errors; of two runs, those where they differ."""
    found = []
    for time, frame in enumerate(frames):
        errors = frame["errors"]
        badness = errors[0] if len(errors) == 1 else abs(errors[0] - errors[1])
        if badness:
            text = " and ".join(map(str, errors)) + " errors"
            found.append({"clip": clip, "frame": time, "badness": badness, "text": text})
    return found


def _save(frame: ClipFrame, path: Path, width: int) -> None:
    image, own = frame.image[..., ::-1], frame.image.shape[1]
    if own > width:
        size = width, max(1, round(frame.image.shape[0] * width / own))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    write_image(path, image, QUALITY)
