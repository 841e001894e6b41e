"""rosbag2 in pure Python: reading of images, writing of tracks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rosbags.rosbag2 import StoragePlugin, Writer

from pcan_model.core.atomic_write import replace_folder
from pcan_model.core.stamps import nanoseconds
from pcan_model.data.bags.message_types import COMPRESSED, TRACKS, our_types
from pcan_model.data.bags.reading import Bag, BagError
from pcan_model.data.bags.topics import image_topic

Storage = Literal["mcap", "sqlite3"]


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One image of a bag."""

    time: int  # recording time, nanoseconds
    stamp: int  # capture time, nanoseconds
    raw: bytes  # the serialised message
    message: Any  # the deserialised message


class ImageBag:
    """The images of one topic of a rosbag2, in order."""

    def __init__(self, path: Path, topic: str = "") -> None:
        self._path = path
        self._types = our_types()
        with Bag(path) as bag:
            chosen = image_topic(bag, topic)
            self.losses = tuple(bag.losses)  # found when opening the bag
        self.topic, self.compressed, self.count = chosen.topic, chosen.msgtype == COMPRESSED, chosen.msgcount
        self._type = chosen.msgtype

    def records(self) -> Iterator[Record]:
        """Yield the images; raises BagError if one cannot be read."""
        with Bag(self._path) as bag:
            known = len(bag.losses)
            for stored in bag.messages([self.topic]):
                try:
                    message: Any = self._types.deserialize_cdr(stored.raw, self._type)
                except Exception as error:  # a malformed message raises many types
                    raise self._broken(f"{self.topic}: {type(error).__name__}: {error}") from error
                yield Record(stored.time, nanoseconds(message.header.stamp), stored.raw, message)
            if len(bag.losses) > known:
                raise self._broken(str(bag.losses[-1]))

    def _broken(self, reason: str) -> BagError:
        return BagError(f"{self._path}: broken: {reason}; `pcan-bag show` reports what can be read")


def write_tracks(
    messages: Iterable[tuple[int, bytes]], folder: Path, topic: str = "/pcan_tracker/tracks"
) -> None:
    """Write serialised TrackedInstanceArrays with their times in nanoseconds, atomically."""
    with bag_writer(folder) as writer:
        connection = writer.add_connection(topic, TRACKS, typestore=our_types())
        for time, raw in messages:
            writer.write(connection, time, raw)


@contextmanager
def bag_writer(folder: Path, storage: Storage = "mcap") -> Iterator[Writer]:
    """Yield a writer of a bag that appears at `folder` once it is complete, replacing an existing one."""
    check_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        partial = Path(name) / folder.name
        with new_bag(partial, storage) as writer:
            yield writer
        put_in_place(partial, folder)


def new_bag(folder: Path, storage: Storage) -> Writer:
    """Return a writer of a bag at `folder`."""
    return Writer(folder, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin[storage.upper()])


def check_replaceable(folder: Path) -> None:
    """Raise BagError if `folder` exists and is not a bag."""
    if folder.exists() and not (folder / "metadata.yaml").is_file():
        raise BagError(f"{folder}: exists and is not a rosbag2: not replaced")


def put_in_place(partial: Path, folder: Path) -> None:
    """Move a complete bag to its final path, replacing only another bag; raises BagError otherwise."""
    check_replaceable(folder)
    replace_folder(partial, folder)
