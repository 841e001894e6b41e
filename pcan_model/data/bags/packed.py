"""Compressed rosbag2 files and ROS 1 bags, recognised by their first bytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from backports import zstd

MAGIC = b"\x28\xb5\x2f\xfd"  # of zstd; a serialised message begins with a zero
ENDING = ".zstd"
ROS1 = b"#ROSBAG V"
MOST_OF_MESSAGE = 1 << 28  # limit of a decompressed message, bytes
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
        names = sorted(path.glob("*.bag"))
        return bool(names) and is_ros1(names[0]) and not (path / "metadata.yaml").exists()
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(ROS1)) == ROS1


def how_to_convert(path: Path) -> str:
    """Return how to convert a ROS 1 bag."""
    bag = f"{path}/*.bag" if path.is_dir() else str(path)
    return f"a ROS 1 bag; convert it first: rosbags-convert --src {bag} --dst {path.with_suffix('')}_ros2"
