"""How many bytes a video file should have, as its container says: tells whether the file was cut off."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

EBML, SEGMENT = 0x1A45DFA3, 0x18538067  # Matroska and WebM (RFC 8794, RFC 9559)
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")  # header object of .wmv and .asf
ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # its file properties object
HEAD = 8192  # bytes in which ASF has its file properties
MOST_BOXES = 200_000  # that are looked at; a recording of hours in fragments has fewer
PACKET = 188  # bytes of a packet of an MPEG transport stream
SYNC = 0x47  # first byte of every packet


def missing_bytes(path: Path) -> int:
    """Return how many bytes a file lacks at its end; 0 where it is whole or its container does not tell."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD)
        announced = _announced(file, head, size)
    return max(0, announced - size)


def _announced(file: BinaryIO, head: bytes, size: int) -> int:
    """Return where the container ends as far as it says so, else 0."""
    if head[:4] == EBML.to_bytes(4, "big"):
        return _matroska(head)
    if head[:4] == b"RIFF":
        return _boxes(file, size, _riff_chunk)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _boxes(file, size, _mp4_box)
    if head[:16] == ASF:
        return _asf(head)
    if len(head) > 2 * PACKET and {head[0], head[PACKET], head[2 * PACKET]} == {SYNC}:
        return -(-size // PACKET) * PACKET
    return 0


def _boxes(file: BinaryIO, size: int, length: Callable[[bytes], int]) -> int:
    """Step over boxes that follow each other to the end of the last one that says its length."""
    place = 0
    for _ in range(MOST_BOXES):
        if place >= size:
            return place
        file.seek(place)
        step = length(file.read(16))
        if step < 8:
            return 0
        place += step
    return 0


def _riff_chunk(head: bytes) -> int:
    """Return the bytes of a top-level chunk of an AVI; 0 where it does not say, or is none."""
    if len(head) < 8 or head[:4] != b"RIFF":
        return 0
    (length,) = struct.unpack("<I", head[4:8])
    return 0 if length in (0, 0xFFFFFFFF) else 8 + length + length % 2


def _mp4_box(head: bytes) -> int:
    """Return the bytes of a top-level box of an MP4 or QuickTime file; 0 where it lasts to the end."""
    if len(head) < 8:
        return 8  # a box has at least this
    (length,) = struct.unpack(">I", head[:4])
    if not head[4:8].isalnum():
        return 0  # no box: a trailer of the camera's
    if length == 1:
        return max(16, int.from_bytes(head[8:16].ljust(8, b"\0"), "big"))
    return int(length)


def _matroska(head: bytes) -> int:
    """Return where the segment ends; 0 where it is of unknown size, as of a live stream."""
    place = 0
    while place < len(head) - 12:
        number, width = _variable(head, place, marker=True)
        length, more = _variable(head, place + width, marker=False)
        place += width + more
        unknown = length == (1 << 7 * more) - 1
        if number == SEGMENT:
            return 0 if unknown else place + length
        if unknown:
            return 0
        place += length
    return 0


def _variable(data: bytes, place: int, *, marker: bool) -> tuple[int, int]:
    """Return an EBML number and its width in bytes; `marker` keeps the bit that tells the width."""
    width = 9 - data[place].bit_length()
    value = int.from_bytes(data[place : place + width], "big")
    return value if marker else value & ((1 << 7 * width) - 1), width


def _asf(head: bytes) -> int:
    """Return the size that the file properties give; 0 where they are not there."""
    place = head.find(ASF_FILE)
    if place < 0 or len(head) < place + 48:
        return 0
    return int.from_bytes(head[place + 40 : place + 48], "little")
