"""Reading of a rosbag2, complete or damaged, with a readable list of losses."""

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
from pcan_model.data.bags.recovery import StoredMessage, recover
from pcan_model.data.files import visible

STORAGE = (".mcap", ".db3")


class BagError(ValueError):
    """A bag that cannot be read."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Missing or damaged contents of a bag."""

    file: str
    problem: str  # what is wrong
    effect: str  # what could be read nevertheless, or what to do

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}; {self.effect}"


class Bag:
    """Reads a rosbag2 folder or one of its files; `losses` is extended while reading."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise BagError(f"{path}: no such bag")
        if is_ros1(path):
            raise BagError(f"{path}: expected a rosbag2, got {how_to_convert(path)}")
        self.path = path
        self.losses: list[Loss] = []
        self._stack = ExitStack()
        self._stores: list[tuple[str, Any]] = []  # file name and its reader
        self._plain: dict[Path, Path] = {}  # unpacked path of each compressed file
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
        """Return the number of readable messages."""
        return sum(connection.msgcount for connection in self.connections)

    def messages(self, topics: Collection[str] = ()) -> Iterator[StoredMessage]:
        """Yield the messages of these topics, or of all; continues after damage."""
        for name, store in self._stores:
            last = _Position()
            try:
                yield from self._of_store(store, topics, last)
            except Exception as error:  # a damaged file raises many types
                self._add_loss(name, f"broken: {type(error).__name__}: {error}", "read on behind the damage")
                yield from self._recover_rest(name, topics, last)

    def _of_store(self, store: Any, topics: Collection[str], last: _Position) -> Iterator[StoredMessage]:
        known = {_name(c): c for c in self.connections}
        wanted = [c for c in store.connections if not topics or c.topic in topics]
        for connection, time, raw in store.messages(wanted) if wanted else ():
            last.note(connection.topic, time)
            try:
                message = unpack_message(bytes(raw))
            except ValueError as error:
                self._add_loss(self.path.name, str(error), "the other messages are read")
                continue
            yield StoredMessage(known[_name(connection)], time, message)

    def _recover_rest(self, name: str, topics: Collection[str], last: _Position) -> Iterator[StoredMessage]:
        """Yield the remaining messages of a damaged storage file, after the last one read."""
        files = [self.path] if self.path.is_file() else _storage_files(self.path)
        for file in [f for f in files if f.name == name] or files:  # all, if the folder was read as one
            try:
                store = recover(self._unpacked(file))
            except (OSError, ValueError) as error:
                self._add_loss(file.name, str(error), "nothing read of it")
                continue
            for stored in self._of_store(store, topics, _Position()):
                if last.is_before(stored.connection.topic, stored.time):
                    yield stored

    def types(self) -> Any:
        """Return a type store with our messages and those defined in the bag."""
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
        except Exception as error:  # fall back to single files
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
            self._add_loss("metadata.yaml", "missing", "topics are read from the storage files themselves")
        for file in files:
            self._open_file(file)
        if not self._stores:
            raise BagError(f"{self.path}: nothing can be read: {'; '.join(map(str, self.losses))}")

    def _unpacked(self, file: Path) -> Path:
        """Return the path of a storage file, unpacked if it is compressed."""
        if file.suffix != ENDING:
            return file
        if file not in self._plain:
            folder = Path(self._stack.enter_context(TemporaryDirectory()))
            self._plain[file], problem = unpack_file(file, folder)
            if problem:
                self._add_loss(file.name, problem, "what came out before is read")
        return self._plain[file]

    def _open_file(self, file: Path) -> None:
        try:
            reader: Any = Reader(self._unpacked(file))
            reader.open()
        except Exception:  # damaged
            try:
                reader = recover(self._unpacked(file))
            except (OSError, ValueError) as error:
                self._add_loss(file.name, str(error), "nothing read of it")
                return
            found = sum(c.msgcount for c in reader.connections)
            self._add_loss(file.name, reader.problem or "no index", f"{found} messages can be read")
        self._stack.callback(reader.close)
        self._stores.append((file.name, reader))

    def _check_count(self) -> None:
        """Compare with the number of messages in metadata.yaml."""
        expected = _expected_count(self.path)
        if expected > self.count:
            lost = expected - self.count
            self._add_loss(
                "metadata.yaml", f"says {expected} messages", f"{self.count} can be read, {lost} are lost"
            )

    def _add_loss(self, file: str, problem: str, effect: str) -> None:
        loss = Loss(file, problem, effect)
        if loss not in self.losses:
            self.losses.append(loss)


class _Position:
    """Position of the reading: the time of the last message, and the topics with a message at that time."""

    def __init__(self) -> None:
        self._time, self._topics = -1, set[str]()

    def note(self, topic: str, time: int) -> None:
        """Advance to a message."""
        if time != self._time:
            self._time, self._topics = time, set()
        self._topics.add(topic)

    def is_before(self, topic: str, time: int) -> bool:
        """Return whether a message comes after the position."""
        return time > self._time or (time == self._time and topic not in self._topics)


def _name(connection: Connection) -> tuple[str, str]:
    return connection.topic, connection.msgtype


def _merge(stores: list[tuple[str, Any]]) -> list[Connection]:
    """Merge the topics of all files, adding up their counts."""
    merged: dict[tuple[str, str], Connection] = {}
    for _, store in stores:
        for connection in store.connections:
            old = merged.get(_name(connection))
            count = connection.msgcount + (old.msgcount if old else 0)
            merged[_name(connection)] = (old or connection)._replace(msgcount=count)
    return list(merged.values())


def _storage_files(folder: Path) -> list[Path]:
    """Return the storage files in natural order; compressed ones only if not present uncompressed."""
    files = [path for path in visible(folder.iterdir()) if path.name.removesuffix(ENDING).endswith(STORAGE)]
    return [path for path in files if path.suffix != ENDING or path.with_suffix("") not in files]


def _expected_count(path: Path) -> int:
    try:
        values = yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
        return int(values["message_count"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return 0
