"""Any rosbag2, whole or not: what can be read of it, and what was lost, in words a person can act on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import yaml
from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.typesys import get_types_from_idl, get_types_from_msg

from pcan_model.data.bags.message_types import our_types
from pcan_model.data.bags.packed import ENDING, how_to_convert, is_ros1, unpack_file, unpack_message
from pcan_model.data.bags.recovery import Stored, rescue
from pcan_model.data.files import visible

STORAGE = (".mcap", ".db3")


class BagError(ValueError):
    """A bag that cannot be read: says what was expected."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that a bag should hold and does not."""

    file: str
    problem: str  # what is wrong
    effect: str  # what was read nevertheless, or what to do

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}; {self.effect}"


class Bag:
    """Reads a rosbag2 folder, or one of its files; `losses` grow while it is read."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise BagError(f"{path}: no such bag")
        if is_ros1(path):
            raise BagError(f"{path}: expected a rosbag2, got {how_to_convert(path)}")
        self.path = path
        self.losses: list[Loss] = []
        self._stack = ExitStack()
        self._stores: list[tuple[str, Any]] = []  # file name and its reader
        self._plain: dict[Path, Path] = {}  # compressed files, and where they are unpacked
        self._open()
        self.connections: list[Connection] = _merge(self._stores)
        self._check_count()

    def __enter__(self) -> Bag:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def count(self) -> int:
        """Return how many messages can be read."""
        return sum(connection.msgcount for connection in self.connections)

    def messages(self, topics: Collection[str] = ()) -> Iterator[Stored]:
        """Yield the messages of these topics, or of all; goes on behind a damaged file."""
        for name, store in self._stores:
            last = _Last()
            try:
                yield from self._of_store(store, topics, last)
            except Exception as error:  # a broken file shows in many ways
                self._lose(name, f"broken: {type(error).__name__}: {error}", "read on behind the damage")
                yield from self._behind(name, topics, last)

    def _of_store(self, store: Any, topics: Collection[str], last: _Last) -> Iterator[Stored]:
        known = {_name(c): c for c in self.connections}
        wanted = [c for c in store.connections if not topics or c.topic in topics]
        for connection, time, raw in store.messages(wanted) if wanted else ():
            last.note(connection.topic, time)
            try:
                message = unpack_message(bytes(raw))
            except ValueError as error:
                self._lose(self.path.name, str(error), "the other messages are read")
                continue
            yield Stored(known[_name(connection)], time, message)

    def _behind(self, name: str, topics: Collection[str], last: _Last) -> Iterator[Stored]:
        """Yield what a damaged storage file still holds behind the last message that was read."""
        files = [self.path] if self.path.is_file() else _storage_files(self.path)
        for file in [f for f in files if f.name == name] or files:  # all, where the folder was read as one
            try:
                store = rescue(self._unpacked(file))
            except (OSError, ValueError) as error:
                self._lose(file.name, str(error), "nothing read of it")
                continue
            for stored in self._of_store(store, topics, _Last()):
                if last.is_before(stored.connection.topic, stored.time):
                    yield stored

    def types(self) -> Any:
        """Return a store of types that knows ours, and those that the bag itself describes."""
        store = our_types()
        for connection in self.connections:
            text, name = connection.msgdef.data, connection.msgtype
            if name in store.types or not text:
                continue
            read = (
                get_types_from_idl(text)
                if connection.msgdef.format == MessageDefinitionFormat.IDL
                else get_types_from_msg(text, name)
            )
            store.register({key: value for key, value in read.items() if key not in store.types})
        return store

    def _open(self) -> None:
        try:
            reader = Reader(self.path)
            reader.open()
        except Exception as error:  # then file by file
            self._open_files(error)
            return
        self._stack.callback(reader.close)
        self._stores = [(self.path.name, reader)]

    def _open_files(self, error: Exception) -> None:
        files = [self.path] if self.path.is_file() else _storage_files(self.path)
        if not files:
            raise BagError(
                f"{self.path}: expected a rosbag2: metadata.yaml and files of {' or '.join(STORAGE)}: {error}"
            ) from error
        if self.path.is_dir() and not (self.path / "metadata.yaml").is_file():
            self._lose("metadata.yaml", "missing", "topics are read from the storage files themselves")
        for file in files:
            self._open_file(file)
        if not self._stores:
            raise BagError(f"{self.path}: nothing can be read: {'; '.join(map(str, self.losses))}")

    def _unpacked(self, file: Path) -> Path:
        """Return where a storage file lies that is not compressed as a whole."""
        if file.suffix != ENDING:
            return file
        if file not in self._plain:
            folder = Path(self._stack.enter_context(TemporaryDirectory()))
            self._plain[file], problem = unpack_file(file, folder)
            if problem:
                self._lose(file.name, problem, "what came out before is read")
        return self._plain[file]

    def _open_file(self, file: Path) -> None:
        try:
            reader: Any = Reader(self._unpacked(file))
            reader.open()
        except Exception:  # not whole
            try:
                reader = rescue(self._unpacked(file))
            except (OSError, ValueError) as error:
                self._lose(file.name, str(error), "nothing read of it")
                return
            found = sum(c.msgcount for c in reader.connections)
            self._lose(file.name, reader.problem or "no index", f"{found} messages can be read")
        self._stack.callback(reader.close)
        self._stores.append((file.name, reader))

    def _check_count(self) -> None:
        """Set beside what metadata.yaml promises."""
        promised = _promised(self.path)
        if promised > self.count:
            lost = promised - self.count
            self._lose(
                "metadata.yaml", f"says {promised} messages", f"{self.count} can be read, {lost} are lost"
            )

    def _lose(self, file: str, problem: str, effect: str) -> None:
        loss = Loss(file, problem, effect)
        if loss not in self.losses:
            self.losses.append(loss)


class _Last:
    """Where the reading stands: the time of the last message, and which topics had one then."""

    def __init__(self) -> None:
        self._time, self._topics = -1, set[str]()

    def note(self, topic: str, time: int) -> None:
        """Move on to a message."""
        if time != self._time:
            self._time, self._topics = time, set()
        self._topics.add(topic)

    def is_before(self, topic: str, time: int) -> bool:
        """Return whether a message has not been read yet."""
        return time > self._time or (time == self._time and topic not in self._topics)


def _name(connection: Connection) -> tuple[str, str]:
    return connection.topic, connection.msgtype


def _merge(stores: list[tuple[str, Any]]) -> list[Connection]:
    """Return every topic once, with the counts of all files."""
    merged: dict[tuple[str, str], Connection] = {}
    for _, store in stores:
        for connection in store.connections:
            old = merged.get(_name(connection))
            count = connection.msgcount + (old.msgcount if old else 0)
            merged[_name(connection)] = (old or connection)._replace(msgcount=count)
    return list(merged.values())


def _storage_files(folder: Path) -> list[Path]:
    """Return the storage files in natural order; a compressed one only where it is not there unpacked."""
    files = [path for path in visible(folder.iterdir()) if path.name.removesuffix(ENDING).endswith(STORAGE)]
    return [path for path in files if path.suffix != ENDING or path.with_suffix("") not in files]


def _promised(path: Path) -> int:
    try:
        values = yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
        return int(values["message_count"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return 0
