"""Detection of truncated video files by the size declared in their container."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

EBML, SEGMENT = 0x1A45DFA3, 0x18538067  # Matroska and WebM (RFC 8794, RFC 9559)
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")  # header object of .wmv and .asf
ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # its file properties object
HEAD = 8192  # leading bytes that contain the ASF file properties
MOST_BOXES = 200_000  # limit; a fragmented recording of hours has fewer
PACKET = 188  # bytes of a packet of an MPEG transport stream
SYNC = 0x47  # first byte of every packet


def missing_bytes(path: Path) -> int:
    """Return the number of bytes missing at the end of a file; 0 if complete or not declared."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD)
        declared = _declared_size(file, head, size)
    return max(0, declared - size)


def _declared_size(file: BinaryIO, head: bytes, size: int) -> int:
    """Return the file size declared by the container, else 0."""
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
    """Return the end of the last box in a sequence of boxes with declared lengths, else 0."""
    offset = 0
    for _ in range(MOST_BOXES):
        if offset >= size:
            return offset
        file.seek(offset)
        step = length(file.read(16))
        if step < 8:
            return 0
        offset += step
    return 0


def _riff_chunk(head: bytes) -> int:
    """Return the size of a top-level chunk of an AVI in bytes; 0 if unknown."""
    if len(head) < 8 or head[:4] != b"RIFF":
        return 0
    (length,) = struct.unpack("<I", head[4:8])
    return 0 if length in (0, 0xFFFFFFFF) else 8 + length + length % 2


def _mp4_box(head: bytes) -> int:
    """Return the size of a top-level box of an MP4 or QuickTime file in bytes; 0 if it extends to the end."""
    if len(head) < 8:
        return 8  # minimum size of a box
    (length,) = struct.unpack(">I", head[:4])
    if not head[4:8].isalnum():
        return 0  # not a box but a trailer of some cameras
    if length == 1:
        return max(16, int.from_bytes(head[8:16].ljust(8, b"\0"), "big"))
    return int(length)


def _matroska(head: bytes) -> int:
    """Return the end of the segment; 0 for unknown size, as in a live stream."""
    offset = 0
    while offset < len(head) - 12:
        number, width = _variable(head, offset, marker=True)
        length, more = _variable(head, offset + width, marker=False)
        offset += width + more
        unknown = length == (1 << 7 * more) - 1
        if number == SEGMENT:
            return 0 if unknown else offset + length
        if unknown:
            return 0
        offset += length
    return 0


def _variable(data: bytes, offset: int, *, marker: bool) -> tuple[int, int]:
    """Return an EBML number and its width in bytes; `marker` keeps the bit that encodes the width."""
    width = 9 - data[offset].bit_length()
    value = int.from_bytes(data[offset : offset + width], "big")
    return value if marker else value & ((1 << 7 * width) - 1), width


def _asf(head: bytes) -> int:
    """Return the size in the file properties; 0 if missing."""
    offset = head.find(ASF_FILE)
    if offset < 0 or len(head) < offset + 48:
        return 0
    return int.from_bytes(head[offset + 40 : offset + 48], "little")
