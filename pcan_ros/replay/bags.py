"""rosbag2 in and out, in pure Python: images to play, tracks to keep."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
TRACKS = "pcan_ros/msg/TrackedInstanceArray"
START = 1.0  # seconds: first stamp of a clip that says nothing of when it was taken


class BagError(ValueError):
    """A bag that cannot be read: says what was expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One image of a bag."""

    time: int  # when it was recorded, nanoseconds
    stamp: int  # when it was taken, nanoseconds
    raw: bytes  # the serialised message, as it goes over the wire
    message: Any  # the same, to be read


def nanoseconds(stamp: Any) -> int:
    """Return a builtin_interfaces/Time in nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


class ImageBag:
    """The images of one topic of a rosbag2, in order."""

    def __init__(self, path: Path, topic: str = "") -> None:
        self._path = path
        self._types = get_typestore(Stores.ROS2_HUMBLE)
        with opened(path) as reader:
            chosen = _image_topic(path, reader, topic)
            self.topic, self.compressed, self.count = (
                chosen.topic,
                chosen.msgtype == COMPRESSED,
                chosen.msgcount,
            )
            self._type = chosen.msgtype

    def records(self) -> Iterator[Record]:
        """Yield the images; BagError where the bag breaks off."""
        with opened(self._path) as reader:
            wanted = [c for c in reader.connections if c.topic == self.topic]
            try:
                for _, time, raw in reader.messages(wanted):
                    message: Any = self._types.deserialize_cdr(raw, self._type)
                    yield Record(time, nanoseconds(message.header.stamp), bytes(raw), message)
            except Exception as error:  # a broken file shows in many ways
                raise BagError(f"{self._path}: broken: {type(error).__name__}: {error}") from error


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """Open a rosbag2 folder, or one of its files."""
    if not path.exists():
        raise BagError(f"{path}: no such bag")
    try:
        reader = Reader(path)
        reader.open()
    except Exception as error:  # a broken file shows in many ways
        raise BagError(f"{path}: expected a rosbag2: {error}") from error
    try:
        yield reader
    finally:
        reader.close()


def _image_topic(path: Path, reader: Reader, topic: str) -> Connection:
    """Return the named image topic, or the one with most images."""
    images = [c for c in reader.connections if c.msgtype in (IMAGE, COMPRESSED) and c.msgcount]
    named = [c for c in images if topic in ("", c.topic)]
    if not named:
        wanted = f"images on {topic}" if topic else f"a topic of {IMAGE} or CompressedImage"
        there = ", ".join(f"{c.topic} ({c.msgtype}, {c.msgcount})" for c in reader.connections) or "nothing"
        raise BagError(f"{path}: expected {wanted}, found {there}")
    return max(named, key=lambda c: c.msgcount)


def write_images(
    frames: Iterable[NDArray[np.uint8]], rate: float, folder: Path, topic: str = "/camera/image"
) -> int:
    """Write BGR pictures as a bag, whole or not at all; return how many."""
    types, count = get_typestore(Stores.ROS2_HUMBLE), 0
    with bag_writer(folder) as writer:
        connection = writer.add_connection(topic, IMAGE, typestore=types)
        for count, picture in enumerate(frames, 1):
            time = round((START + (count - 1) / rate) * 1e9)
            message = _image_message(types, picture, time)
            writer.write(connection, time, types.serialize_cdr(message, IMAGE))
    return count


def _image_message(types: Any, picture: NDArray[np.uint8], time: int) -> Any:
    known, (height, width) = types.types, picture.shape[:2]
    second, nanosecond = divmod(time, 1_000_000_000)
    stamp = known["builtin_interfaces/msg/Time"](second, nanosecond)
    header = known["std_msgs/msg/Header"](stamp, "camera")
    data = np.ascontiguousarray(picture).reshape(-1)
    return known[IMAGE](header, height, width, "bgr8", 0, width * 3, data)


def write_tracks(
    messages: Iterable[tuple[int, bytes]], folder: Path, topic: str = "/pcan_tracker/tracks"
) -> None:
    """Write serialised TrackedInstanceArrays by their time in nanoseconds, whole or not at all."""
    with bag_writer(folder) as writer:
        connection = writer.add_connection(topic, TRACKS, typestore=our_types())
        for time, raw in messages:
            writer.write(connection, time, raw)


@contextmanager
def bag_writer(folder: Path) -> Iterator[Writer]:
    """Yield a writer of a bag that is at `folder` only once it is complete; replaces one that is there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        partial = Path(name) / folder.name
        with Writer(partial, version=Writer.VERSION_LATEST) as writer:
            yield writer
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(partial, folder)


def our_types() -> Any:
    """Return the types of ROS with our messages added."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    for path in sorted(_message_folder().glob("*.msg")):
        store.register(get_types_from_msg(path.read_text(), f"pcan_ros/msg/{path.stem}"))
    return store


def _message_folder() -> Path:
    here = Path(__file__).resolve().parents[2] / "msg"
    if here.is_dir():
        return here
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory("pcan_ros")) / "msg"
