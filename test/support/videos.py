"""Small videos of known frames: complete, truncated, and with wrong headers."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

FRAMES = 25
HEIGHT, WIDTH = 48, 64
RATE = 25.0
DURATION = b"\x44\x89\x88"  # of Matroska: id, and a length of 8 bytes


def drawn(number: int) -> NDArray[np.uint8]:
    """Return the frame of a number, (HEIGHT, WIDTH, 3) BGR: noise that moves, so that a frame needs bytes."""
    small = np.random.default_rng(7).integers(0, 255, (HEIGHT // 4, WIDTH // 4, 3), np.uint8)
    return np.asarray(cv2.resize(np.roll(small, number, 1), (WIDTH, HEIGHT)), np.uint8)


def write_video(path: Path, code: str, frames: int = FRAMES) -> Path:
    """Encode a video with a FourCC; an `.mp4` has its index before its frames."""
    target = path.with_name(f"slow_{path.name}") if path.suffix == ".mp4" else path
    writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*code), RATE, (WIDTH, HEIGHT))
    assert writer.isOpened(), (code, path.suffix)
    for number in range(frames):
        writer.write(drawn(number))
    writer.release()
    if target != path:
        path.write_bytes(_index_first(target.read_bytes()))
        target.unlink()
    return path


def cut_off(path: Path, share: float) -> Path:
    """Truncate a file."""
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


def announce(path: Path, frames: int) -> Path:
    """Set the duration in the header of a Matroska file to a number of frames."""
    data = bytearray(path.read_bytes())
    place = data.index(DURATION) + len(DURATION)
    data[place : place + 8] = struct.pack(">d", frames / RATE * 1000)
    path.write_bytes(data)
    return path


def without_length(path: Path) -> Path:
    """Remove the duration from a Matroska file and the size of its segment, as a live stream has neither."""
    data = bytearray(path.read_bytes())
    place = data.index(DURATION)
    data[place : place + 11] = b"\xec\x89" + bytes(9)  # a void element
    segment = data.index(b"\x18\x53\x80\x67") + 4
    assert data[segment] == 1  # a size in 8 bytes
    data[segment : segment + 8] = b"\x01" + b"\xff" * 7
    path.write_bytes(data)
    return path


def trim(path: Path, first: int, frames: int) -> Path:
    """Let the edit list of an MP4 show some of its frames only, as trimming without decoding does."""
    data = bytearray(path.read_bytes())
    ticks = [int.from_bytes(data[data.index(box) + 16 :][:4], "big") for box in (b"mvhd", b"mdhd")]
    length, begin = (round(n / RATE * t) for n, t in zip((frames, first), ticks, strict=True))
    place = data.index(b"elst") + 12
    data[place : place + 8] = struct.pack(">Ii", length, begin)
    path.write_bytes(data)
    return path


def decoded(path: Path) -> list[NDArray[np.uint8]]:
    """Return all frames of a video as OpenCV decodes them, RGB."""
    video, frames = cv2.VideoCapture(str(path)), []
    while (image := video.read()[1]) is not None:
        frames.append(np.asarray(image[..., ::-1], np.uint8))
    return frames


def _index_first(data: bytes) -> bytes:
    """Move the `moov` box of an MP4 before its `mdat`, as streaming needs it."""
    parts, place = {}, 0
    while place < len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        parts[kind] = data[place : place + size]
        place += size
    index = bytearray(parts[b"moov"])
    offsets = index.index(b"stco") + 8
    (count,) = struct.unpack_from(">I", index, offsets)
    for entry in range(offsets + 4, offsets + 4 + 4 * count, 4):
        (old,) = struct.unpack_from(">I", index, entry)
        struct.pack_into(">I", index, entry, old + len(index))
    rest = b"".join(part for kind, part in parts.items() if kind not in (b"ftyp", b"moov"))
    return parts[b"ftyp"] + bytes(index) + rest
