"""Compressed rosbag2 files and ROS 1 bags, recognised by their first bytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import lz4.frame
from backports import zstd
from rosbags.rosbag2 import storage_mcap

from pcan_model.data.files import visible

MAGIC = b"\x28\xb5\x2f\xfd"  # of zstd; a serialised message begins with a zero
ENDING = ".zstd"
ROS1 = b"#ROSBAG V"
MOST_OF_MESSAGE = 1 << 28  # limit of a decompressed message, bytes
MOST_OF_CHUNK = 1 << 28  # limit of a decompressed chunk of an MCAP file, bytes; usual are a few MiB
MOST_TIMES = 1000  # limit of the compression ratio of a file, beyond the first LEAST bytes
LEAST = 1 << 26
SPARE = 1 << 30  # bytes to leave free on the disk
PIECE = 1 << 22


def unpack_message(raw: bytes) -> bytes:
    """Return a message, decompressed if it was compressed individually.

    Raises ValueError for a malformed or oversized one.
    """
    if raw[:4] != MAGIC:
        return raw
    engine = zstd.ZstdDecompressor()
    try:
        message: bytes = engine.decompress(raw, MOST_OF_MESSAGE)
    except zstd.ZstdError as error:
        raise ValueError(f"a compressed message is malformed: {error}") from error
    if not engine.eof:
        raise ValueError(f"a compressed message is cut off, or of more than {MOST_OF_MESSAGE} bytes")
    return message


def unpack_chunk(data: bytes, compression: str, most: int) -> tuple[bytes, bool]:
    """Return the beginning of what a chunk of an MCAP file unpacks to, and whether it is all.

    most  bytes, as the chunk declares; what comes after them is not unpacked. Damage ends it, too
    """
    engine: Any = zstd.ZstdDecompressor() if compression == "zstd" else lz4.frame.LZ4FrameDecompressor()
    out, whole = bytearray(), True
    try:
        for start in range(0, len(data), 4096):  # in pieces, so that a fault costs what is behind it only
            piece = data[start : start + 4096]
            while (piece or not engine.needs_input) and not engine.eof and len(out) <= most:
                out += engine.decompress(piece, min(PIECE, most + 1 - len(out)))
                piece = b""
    except (RuntimeError, zstd.ZstdError, EOFError):
        whole = False
    return bytes(out[:most]), whole and engine.eof and len(out) <= most


def bound_library() -> None:
    """Let rosbags unpack the chunks of an MCAP file within bounds, too: it would fill all memory."""
    storage_mcap.DECOMPRESSORS.update(
        {compression: partial(_whole_chunk, compression) for compression in ("lz4", "zstd")}
    )


def _whole_chunk(compression: str, data: bytes, size: int) -> bytes:
    if size > MOST_OF_CHUNK:
        raise ValueError(f"a chunk of {size} bytes, where at most {MOST_OF_CHUNK} are read")
    out, whole = unpack_chunk(data, compression, size)
    if not whole:
        raise ValueError(f"a chunk is cut off, or of more than the {size} bytes that it declares")
    return out


def unpack_file(file: Path, folder: Path) -> tuple[Path, str]:
    """Unpack `x.mcap.zstd` as `x.mcap` into a folder, as far as possible; returns the path and any problem.

    Raises ValueError if it unpacks to an excessive size, and OSError if the disk is full.
    """
    target, written = folder / file.name.removesuffix(ENDING), 0
    most = LEAST + MOST_TIMES * file.stat().st_size
    with target.open("wb") as plain:
        try:
            for piece in _pieces(file):
                written += len(piece)
                if written > most or shutil.disk_usage(folder).free < SPARE:
                    raise ValueError(f"unpacks to more than {written} bytes, for which there is no room")
                plain.write(piece)
        except (zstd.ZstdError, EOFError) as error:
            return target, f"cut off or damaged after {written} bytes: {error}"
    return target, ""


def _pieces(file: Path) -> Iterator[bytes]:
    """Yield the contents of a file of zstd frames in pieces of at most PIECE bytes; EOFError if truncated."""
    engine = zstd.ZstdDecompressor()
    with file.open("rb") as packed:
        while data := packed.read(PIECE):
            while data or not (engine.needs_input or engine.eof):
                if engine.eof:
                    engine = zstd.ZstdDecompressor()
                yield engine.decompress(data, PIECE)
                data = engine.unused_data if engine.eof else b""
    if not engine.eof:
        raise EOFError("expected the end of the compressed data")


def is_ros1(path: Path) -> bool:
    """Return whether a path is a ROS 1 bag or a folder of such bags."""
    if path.is_dir():
        names = visible(path.glob("*.bag"))
        return bool(names) and is_ros1(names[0]) and not (path / "metadata.yaml").exists()
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(ROS1)) == ROS1


def how_to_convert(path: Path) -> str:
    """Return how to convert a ROS 1 bag."""
    bag = f"{path}/*.bag" if path.is_dir() else str(path)
    return f"a ROS 1 bag; convert it first: rosbags-convert --src {bag} --dst {path.with_suffix('')}_ros2"
