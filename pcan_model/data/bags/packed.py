"""Compressed rosbag2 without metadata that says so, and bags of ROS 1: recognised by their first bytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from backports import zstd

MAGIC = b"\x28\xb5\x2f\xfd"  # of zstd; a serialised message begins with a zero
ENDING = ".zstd"
ROS1 = b"#ROSBAG V"
MOST_OF_MESSAGE = 1 << 28  # bytes that a message may unpack to
MOST_TIMES = 1000  # that a file may grow, beyond the first LEAST bytes
LEAST = 1 << 26
SPARE = 1 << 30  # bytes that stay free on the disk
PIECE = 1 << 22


def unpack_message(raw: bytes) -> bytes:
    """Return a message, unpacked if it was compressed by itself.

    Raises ValueError where that cannot be, or would take more memory than any image does.
    """
    if raw[:4] != MAGIC:
        return raw
    engine = zstd.ZstdDecompressor()
    try:
        message: bytes = engine.decompress(raw, MOST_OF_MESSAGE)
    except zstd.ZstdError as error:
        raise ValueError(f"a compressed message is broken: {error}") from error
    if not engine.eof:
        raise ValueError(f"a compressed message is cut off, or of more than {MOST_OF_MESSAGE} bytes")
    return message


def unpack_file(file: Path, folder: Path) -> tuple[Path, str]:
    """Unpack `x.mcap.zstd` as `x.mcap` in a folder, as far as it goes; returns where, and what went wrong.

    Raises ValueError where it grows beyond all measure, and OSError where the disk is full.
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
            return target, f"cut off or damaged behind {written} bytes: {error}"
    return target, ""


def _pieces(file: Path) -> Iterator[bytes]:
    """Yield what comes out of a file of zstd frames, at most PIECE bytes at once; EOFError at a cut."""
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
    """Tell a bag of ROS 1, or a folder of nothing but such bags."""
    if path.is_dir():
        names = sorted(path.glob("*.bag"))
        return bool(names) and is_ros1(names[0]) and not (path / "metadata.yaml").exists()
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(ROS1)) == ROS1


def how_to_convert(path: Path) -> str:
    """Return what to do with a bag of ROS 1, for people."""
    bag = f"{path}/*.bag" if path.is_dir() else str(path)
    return f"a ROS 1 bag; convert it first: rosbags-convert --src {bag} --dst {path.with_suffix('')}_ros2"
