"""CVAT for video 1.1: one XML of tracks, each with a shape per frame in which it is seen.

A mask is the runs of its crop, row by row and beginning with background.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from pcan_model.core import rle
from pcan_model.core.errors import DataError
from pcan_model.core.numbers import whole_text
from pcan_model.core.structures import Mask
from pcan_model.data.formats.labels import IGNORE
from pcan_model.data.formats.polygons import FEWEST, run_lengths
from pcan_model.data.formats.reading import OnError, raise_error, read_all, read_text
from pcan_model.data.formats.scalabel import Label

Size = tuple[int, int]
SEEN = {"outside": "0", "occluded": "0", "keyframe": "1", "z_order": "0"}


@dataclass(frozen=True, slots=True)
class MaskTrack:
    """A track to write."""

    identity: int
    label: str
    masks: Mapping[int, dict[str, str]]  # by frame, as from `encode_mask`


def encode_mask(mask: Mask) -> dict[str, str]:
    """Return the attributes of a mask: rle, left, top, width, height."""
    flat = mask.crop.reshape(-1) != 0
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges, flat.size]).tolist()
    if flat.size and flat[0]:
        runs = [0, *runs]
    height, width = mask.crop.shape
    place = {"left": mask.x, "top": mask.y, "width": width, "height": height}
    return {"rle": ", ".join(map(str, runs))} | {key: str(value) for key, value in place.items()}


def encode(tracks: Sequence[MaskTrack], classes: Sequence[str], *, name: str, frames: int, size: Size) -> str:
    """Return the XML of a video of `frames` frames of (H, W) = `size`."""
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    task = SubElement(SubElement(root, "meta"), "task")
    last = max(0, frames - 1)
    known = {"name": name, "size": frames, "mode": "interpolation", "start_frame": 0, "stop_frame": last}
    for key, value in known.items():
        SubElement(task, key).text = str(value)
    labels, original = SubElement(task, "labels"), SubElement(task, "original_size")
    for each in classes:
        label = SubElement(labels, "label")
        SubElement(label, "name").text = each
        SubElement(label, "attributes")
    for key, side in zip(("width", "height"), size[::-1], strict=True):
        SubElement(original, key).text = str(side)
    for track in tracks:
        _add_track(root, track, frames)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_track(root: Element, track: MaskTrack, frames: int) -> None:
    """Add a track; a shape holds until the next, so that one marked outside ends every stretch."""
    element = SubElement(root, "track", id=str(track.identity), label=track.label, source="auto")
    for frame, mask in sorted(track.masks.items()):
        SubElement(element, "mask", {"frame": str(frame)} | SEEN | mask)
        if frame + 1 < frames and frame + 1 not in track.masks:
            SubElement(element, "mask", {"frame": str(frame + 1)} | SEEN | {"outside": "1"} | mask)


def read_tracks(
    file: Path, names: Sequence[str], on_error: OnError = raise_error
) -> dict[int, tuple[Label, ...]]:
    """Read the objects by frame; frames without objects are missing.

    names     class names, in the order of labels; objects of other classes become ignore
    on_error  called with the error of each skipped shape

    Raises DataError for a file that is not of this format.
    """
    root = _parse(file)
    size = _size(root, file)
    shapes = [(track, shape) for track in root.iter("track") for shape in track]
    frames: dict[int, list[Label]] = {}
    for found in read_all(lambda pair: _label(*pair, names, size, file), shapes, on_error):
        if found is not None:
            frames.setdefault(found[0], []).append(found[1])
    return {frame: tuple(labels) for frame, labels in frames.items()}


def _parse(file: Path) -> Element:
    text = read_text(file, "annotations of CVAT")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DataError(file, "file", "XML without document types and entities", "one with them")
    try:
        root = ElementTree.fromstring(text.encode())
    except ElementTree.ParseError as error:
        raise DataError(file, "file", "XML", error) from error
    if root.tag != "annotations" or root.find("image") is not None:
        raise DataError(
            file, "file", "<annotations> of `CVAT for video 1.1`", f"<{root.tag}> of another kind"
        )
    return root


def _size(root: Element, file: Path) -> Size:
    original = root.find("meta//original_size")
    sides = [None if original is None else original.findtext(key) for key in ("height", "width")]
    size = rle.size_from(*(whole_text(side or "") for side in sides))
    if size is None:
        raise DataError(file, "original_size", "height and width of the images", sides)
    return size


def _label(
    track: Element, shape: Element, names: Sequence[str], size: Size, file: Path
) -> tuple[int, Label] | None:
    """Return frame and object of a shape; None where the track is outside the image."""
    identity, label = track.get("id", ""), track.get("label", "")
    source = f"{file}: track {identity}"
    frame = whole_text(shape.get("frame", ""))
    if frame is None or whole_text(identity) is None:
        raise DataError(source, "id, frame", "whole numbers from 0 up", (identity, shape.get("frame")))
    if shape.tag not in SHAPES:
        raise DataError(source, f"frame {frame}", f"one of {', '.join(SHAPES)}", shape.tag)
    if shape.get("outside") == "1":
        return None
    try:
        mask, box = SHAPES[shape.tag](shape, size)
    except ValueError as error:
        raise DataError(source, f"frame {frame}: {shape.tag}", error, dict(shape.attrib)) from error
    index = names.index(label) if label in names else IGNORE
    return frame, Label(index, identity, False, mask, (), box)


Shape = tuple[rle.Rle | None, tuple[float, ...] | None]  # a mask, or a box of inclusive pixels


def _mask(shape: Element, size: Size) -> Shape:
    left, top, width, height = (whole_text(shape.get(key, "")) for key in ("left", "top", "width", "height"))
    runs = [whole_text(run.strip()) for run in shape.get("rle", "").split(",")]
    lengths = [run for run in runs if run is not None]
    if left is None or top is None or width is None or height is None or len(lengths) < len(runs):
        raise ValueError("whole numbers as rle, left, top, width, height")
    if left + width > size[1] or top + height > size[0] or sum(lengths) != width * height:
        raise ValueError(f"runs that fill a part of the image, {size[1]} x {size[0]}")
    values = np.arange(len(lengths)) % 2
    crop = np.repeat(values, lengths).astype(np.uint8).reshape(height, width)
    return rle.encode(Mask(left, top, crop).full(*size)), None


def _polygon(shape: Element, size: Size) -> Shape:
    points = [_numbers(pair.split(","), 2) for pair in shape.get("points", "").split(";")]
    mask, _ = run_lengths([[side for point in points for side in point]], size)
    if mask is None:
        raise ValueError(f"{FEWEST} corners or more")
    return mask, None


def _box(shape: Element, _: Size) -> Shape:
    if float(shape.get("rotation", "0")):
        raise ValueError("a box without rotation")
    x1, y1, x2, y2 = _numbers([shape.get(key, "") for key in ("xtl", "ytl", "xbr", "ybr")], 4)
    return None, (x1, y1, x2 - 1, y2 - 1)


def _numbers(texts: Sequence[str], count: int) -> list[float]:
    values = [float(text) for text in texts]
    if len(values) != count or not np.isfinite(values).all():
        raise ValueError(f"{count} finite numbers")
    return values


SHAPES: dict[str, Callable[[Element, Size], Shape]] = {"mask": _mask, "polygon": _polygon, "box": _box}
