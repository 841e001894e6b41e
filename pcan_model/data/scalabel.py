"""Clips on disk as BDD100K `seg_track` keeps them: `images/<video>/*.jpg`, `labels/<video>.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from pcan_model.config import CLASSES
from pcan_model.data.clips import IGNORE, Clip, DataError, FlatFrame, LabeledFrame, unflatten
from pcan_model.data.polygons import fill_polygons

NAMES = {name: name for name in CLASSES} | {  # the name mapping of BDD100K's own config
    "person": "pedestrian",
    "bike": "bicycle",
    "motor": "motorcycle",
    "van": "car",
    "caravan": "car",
}
IGNORED_NAMES = {"other person", "other vehicle", "trailer", "ignored"}
EXTRA_NAMES = {"traffic light", "traffic sign"}  # of det_20: no moving objects, background here
FIRST_IGNORED_ID = 30001


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """One label of one frame, mask still encoded."""

    label: int  # index into CLASSES, or IGNORE
    identity: str  # as in the file
    rle: dict[str, Any] | None  # COCO run lengths: size, counts
    polygons: tuple[dict[str, Any], ...]  # poly2d, used where no rle is


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """One frame of a clip: where its picture is and what is labelled in it."""

    image: Path
    source: str  # label file and frame name, for error messages
    labels: tuple[LabelRecord, ...]


class ScalabelClip:
    """A clip of which only the labels are in memory; pictures and masks are decoded per frame."""

    def __init__(self, name: str, frames: Sequence[FrameRecord]) -> None:
        self.name = name
        self._frames = tuple(frames)
        self._ids = _number_ids(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def frame(self, index: int) -> LabeledFrame:
        """Decode frame `index`: the later label keeps a pixel that two labels claim."""
        record = self._frames[index]
        image = _read_image(record.image)
        objects = [r for r in record.labels if r.label != IGNORE]
        numbers = np.zeros(image.shape[:2], np.int16)
        for label in record.labels:
            if label.label == IGNORE:
                numbers[_mask(label, image.shape[:2], record.source)] = IGNORE
        for k, label in enumerate(objects):
            numbers[_mask(label, image.shape[:2], record.source)] = k + 1
        labels = np.array([r.label for r in objects], np.int64)
        ids = np.array([self._ids[r.identity] for r in objects], np.int64)
        return unflatten(FlatFrame(image, numbers, labels, ids))


def read_clips(root: Path, *, videos: Sequence[str] | None = None) -> list[Clip]:
    """Open every video below `root` (or the named ones), in order of name.

    Labels are read and checked now, pictures when a frame is asked for.
    """
    root = Path(root)
    found = {path.stem: path for path in sorted((root / "labels").glob("*.json"))}
    if not found:
        raise DataError(root / "labels", "*.json", "one label file per video", "none")
    missing = sorted(set(videos or ()) - set(found))
    if missing:
        raise DataError(root / "labels", "videos", f"some of {sorted(found)}", missing)
    return [read_video(found[v], root / "images" / v) for v in sorted(videos or found)]


def read_video(labels: Path, images: Path) -> Clip:
    """Open one label file as one clip, frames by frameIndex."""
    frames = _frames_of(labels)
    frames.sort(key=lambda f: (f.get("frameIndex") or 0, f["name"]))
    return ScalabelClip(labels.stem, [_frame_record(f, images, labels) for f in frames])


def read_stills(labels: Path, images: Path) -> list[Clip]:
    """Open a label file of unrelated pictures (`ins_seg`) as clips of one frame."""
    return [
        ScalabelClip(Path(f["name"]).stem, [_frame_record(f, images, labels)]) for f in _frames_of(labels)
    ]


def write_clip(root: Path, name: str, frames: Iterable[LabeledFrame], *, quality: int = 92) -> None:
    """Save frames in the layout that `read_clips` reads; the label file comes last, whole."""
    images, labels = Path(root) / "images" / name, Path(root) / "labels"
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    entries = []
    for index, frame in enumerate(frames):
        path = images / f"{index:06d}.jpg"
        if not cv2.imwrite(str(path), frame.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality]):
            raise OSError(f"{path}: the picture could not be written")
        head = {"name": path.name, "videoName": name, "frameIndex": index}
        entries.append(head | {"labels": _label_entries(frame)})
    partial = labels / f".{name}.json.part"
    partial.write_text(json.dumps(entries))
    partial.replace(labels / f"{name}.json")


def _label_entries(frame: LabeledFrame) -> list[dict[str, Any]]:
    entries = [
        _label_entry(mask, CLASSES[label], int(identity), ignored=False)
        for mask, label, identity in zip(frame.masks, frame.labels, frame.ids, strict=True)
    ]
    if frame.ignore.any():
        entries.append(_label_entry(frame.ignore, "car", FIRST_IGNORED_ID, ignored=True))
    return entries


def _label_entry(mask: NDArray[np.bool_], category: str, identity: int, *, ignored: bool) -> dict[str, Any]:
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    x, y, w, h = (float(v) for v in coco_mask.toBbox(rle))
    return {
        "id": str(identity),
        "category": category,
        "attributes": {"crowd": ignored, "ignored": ignored},
        "box2d": {"x1": x, "y1": y, "x2": x + w - 1, "y2": y + h - 1},
        "rle": {"counts": rle["counts"].decode("ascii"), "size": [int(s) for s in rle["size"]]},
    }


def _frames_of(path: Path) -> list[dict[str, Any]]:
    """Read the list of frames, which Scalabel keeps bare or under the key `frames`."""
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DataError(path, "file", "a Scalabel label file", "no such file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(path, "file", "JSON", error) from error
    frames = data.get("frames") if isinstance(data, dict) else data
    if not isinstance(frames, list):
        raise DataError(path, "frames", "a list of frames", type(frames).__name__)
    for index, frame in enumerate(frames):
        if not isinstance(frame, dict) or not isinstance(frame.get("name"), str):
            raise DataError(path, f"frames[{index}].name", "the name of a picture", frame)
    return cast(list[dict[str, Any]], frames)


def _frame_record(frame: dict[str, Any], images: Path, file: Path) -> FrameRecord:
    source = f"{file}: {frame['name']}"
    labels = [_label_record(entry, source) for entry in frame.get("labels") or ()]
    return FrameRecord(images / frame["name"], source, tuple(r for r in labels if r is not None))


def _label_record(entry: dict[str, Any], source: str) -> LabelRecord | None:
    """Check one label; None for what is background to us or has no mask."""
    for key in ("id", "category"):
        if key not in entry:
            raise DataError(source, f"labels.{key}", "a value", f"keys {sorted(entry)}")
    name, identity = entry["category"], str(entry["id"])
    if name not in NAMES and name not in IGNORED_NAMES | EXTRA_NAMES:
        known = ", ".join(sorted(set(NAMES) | IGNORED_NAMES | EXTRA_NAMES))
        raise DataError(source, f"label {identity}: category", f"one of {known}", repr(name))
    rle, polygons = entry.get("rle"), tuple(entry.get("poly2d") or ())
    if name in EXTRA_NAMES or (rle is None and not polygons):
        return None
    flags = entry | (entry.get("attributes") or {})
    ignored = name in IGNORED_NAMES or bool(flags.get("crowd")) or bool(flags.get("ignored"))
    return LabelRecord(IGNORE if ignored else CLASSES.index(NAMES[name]), identity, rle, polygons)


def _number_ids(frames: Iterable[FrameRecord]) -> dict[str, int]:
    """Give every identity a number: its own where all are numbers, else 1, 2, … as they appear."""
    names = list(dict.fromkeys(r.identity for f in frames for r in f.labels))
    if all(name.isdigit() for name in names) and len({int(n) for n in names}) == len(names):
        return {name: int(name) for name in names}
    return {name: number for number, name in enumerate(names, start=1)}


def _read_image(path: Path) -> NDArray[np.uint8]:
    if not path.is_file():
        raise DataError(path, "image", "a picture", "no such file")
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(path, "image", "a readable picture", f"{path.stat().st_size} other bytes")
    return cast(NDArray[np.uint8], cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def _mask(record: LabelRecord, size: tuple[int, ...], source: str) -> NDArray[np.bool_]:
    """Decode one label, (H, W)."""
    if record.rle is None:
        return fill_polygons(record.polygons, (size[0], size[1]))
    key = f"label {record.identity}: rle"
    if tuple(record.rle.get("size", ())) != tuple(size):
        raise DataError(source, f"{key}.size", f"that of the picture {tuple(size)}", record.rle.get("size"))
    try:
        decoded = coco_mask.decode(record.rle)
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(source, f"{key}.counts", "COCO run lengths", error) from error
    return cast(NDArray[np.bool_], decoded.astype(bool))
