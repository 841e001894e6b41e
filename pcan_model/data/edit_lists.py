"""Presentation time of an MP4 by its edit list, which hides frames trimmed without re-encoding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pcan_model.data.containers import MOST_BOXES

MOST = 1000  # limit of the entries in an edit list


@dataclass(frozen=True, slots=True)
class Box:
    """A box in the file."""

    kind: bytes
    start: int  # of its contents, bytes
    end: int


def shown_seconds(path: Path) -> float | None:
    """Return the presentation time by the edit list in seconds; None without an edit list."""
    with path.open("rb") as file:
        file.seek(0, 2)
        whole = Box(b"", 0, file.tell())
        index = _find(file, whole, b"moov")
        header = index and _find(file, index, b"mvhd")
        if index is None or header is None:
            return None
        scale = _time_scale(file, header)
        tracks = (box for box in _boxes(file, index) if box.kind == b"trak" and _is_video(file, box))
        edits = (_find(file, track, b"edts", b"elst") for track in tracks)
        shown = next((_shown(file, edit) for edit in edits if edit), 0)
    return shown / scale if scale and shown else None


def _boxes(file: BinaryIO, parent: Box) -> Iterator[Box]:
    offset = parent.start
    for _ in range(MOST_BOXES):
        if offset + 8 > parent.end:
            return
        file.seek(offset)
        head = file.read(16)
        length, start = int.from_bytes(head[:4], "big"), 8
        if length == 1:
            length, start = int.from_bytes(head[8:16], "big"), 16
        end = parent.end if length == 0 else min(parent.end, offset + length)
        if end < offset + start:
            return
        yield Box(head[4:8], offset + start, end)
        offset = end


def _find(file: BinaryIO, parent: Box, *kinds: bytes) -> Box | None:
    """Return the first box at a path of kinds."""
    found: Box | None = parent
    for kind in kinds:
        found = next((box for box in _boxes(file, found) if box.kind == kind), None) if found else None
    return found


def _is_video(file: BinaryIO, track: Box) -> bool:
    handler = _find(file, track, b"mdia", b"hdlr")
    return handler is not None and _read(file, handler, 8, 4) == b"vide"


def _time_scale(file: BinaryIO, header: Box) -> int:
    """Return the time units per second."""
    version = _read(file, header, 0, 1)
    return int.from_bytes(_read(file, header, 20 if version == b"\1" else 12, 4), "big")


def _shown(file: BinaryIO, edit: Box) -> int:
    """Return the total duration of the entries, without empty edits."""
    width = 8 if _read(file, edit, 0, 1) == b"\1" else 4
    count = min(MOST, int.from_bytes(_read(file, edit, 4, 4), "big"))
    total = 0
    for entry in range(count):
        data = _read(file, edit, 8 + entry * (2 * width + 4), 2 * width)
        if int.from_bytes(data[width:], "big", signed=True) >= 0:
            total += int.from_bytes(data[:width], "big")
    return total


def _read(file: BinaryIO, box: Box, offset: int, length: int) -> bytes:
    """Return bytes of a box's contents; fewer at its end."""
    file.seek(box.start + offset)
    return file.read(max(0, min(length, box.end - box.start - offset)))
