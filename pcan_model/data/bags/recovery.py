"""Recovery of damaged rosbag2 storage files, message by message.

MCAP (mcap.dev/spec): a magic, then records `opcode, length, body`; chunks contain records, mostly
compressed. sqlite3: rows of `messages` in writing order; rows on lost pages raise an error each.
Both have the interface of a rosbags reader: `connections` and `messages(connections)`.
"""

from __future__ import annotations

import io
import sqlite3
import struct
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import lz4.frame
from backports import zstd
from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2.metadata import parse_qos

MAGIC = b"\x89MCAP0\r\n"
SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 3, 4, 5, 6, 15
FORMATS = {"ros2msg": MessageDefinitionFormat.MSG, "ros2idl": MessageDefinitionFormat.IDL}
MOST_OF_CHUNK = 1 << 30  # bytes
FARTHEST = 1 << 20  # maximum number of rows skipped after damage


@dataclass(frozen=True, slots=True, eq=False)
class StoredMessage:
    """One message in a storage file."""

    connection: Connection
    time: int  # recording time, nanoseconds
    raw: bytes  # serialised


class RecoveredFile:
    """A damaged file, read once for its topics and message counts."""

    def __init__(self, scan: Callable[[RecoveredFile], Iterator[StoredMessage]]) -> None:
        self.found: dict[int, Connection] = {}
        self.problem = ""  # description of the damage
        self._scan = scan
        counts: dict[int, int] = {}
        for stored in scan(self):
            counts[stored.connection.id] = counts.get(stored.connection.id, 0) + 1
        self.connections = [c._replace(msgcount=counts.get(c.id, 0)) for c in self.found.values()]

    def messages(self, connections: Collection[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, time and bytes of the wanted messages, in the order of the file."""
        wanted = {connection.id: connection for connection in connections}
        for stored in self._scan(self):
            if stored.connection.id in wanted:
                yield wanted[stored.connection.id], stored.time, stored.raw

    def close(self) -> None:
        """Do nothing: no file is kept open."""


def recover(path: Path) -> RecoveredFile:
    """Read a damaged .mcap or .db3; raises ValueError if its beginning is unreadable, too."""
    if path.suffix == ".mcap":
        return RecoveredFile(lambda owner: _scan_mcap(path, owner))
    return RecoveredFile(lambda owner: _scan_sqlite(path, owner))


# MCAP


def _scan_mcap(path: Path, owner: RecoveredFile) -> Iterator[StoredMessage]:
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(8) != MAGIC:
            raise ValueError("expected an MCAP file, its first bytes are others")
        reader = _McapRecords(owner)
        ended = False
        while not ended and file.tell() < size:
            start = file.tell()
            code, body, whole = _record(file, size - start)
            yield from reader.read(code, body)
            ended = whole and code == DATA_END
            if not whole:
                owner.problem = f"cut off at byte {size}, inside the record that begins at {start}"
        if reader.broken and not owner.problem:
            owner.problem = f"{reader.broken} damaged chunks"
        elif not ended and not owner.problem:
            owner.problem = f"cut off at byte {size}, before the end of the data"


def _record(file: BinaryIO, left: int) -> tuple[int, bytes, bool]:
    """Return opcode, body as far as present, and whether the record is complete.

    left  remaining bytes of the file, since a damaged length may be any number
    """
    head = file.read(9)
    if len(head) < 9:
        return 0, b"", False
    code, length = struct.unpack("<BQ", head)
    body = file.read(min(length, left))
    return code, body, len(body) == length


class _McapRecords:
    """Converts records to messages, keeping track of schemas and channels."""

    def __init__(self, owner: RecoveredFile) -> None:
        self._owner = owner
        self._schemas: dict[int, tuple[str, MessageDefinition]] = {}
        self.broken = 0  # chunks that decompress to less than their declared size

    def read(self, code: int, body: bytes) -> Iterator[StoredMessage]:
        """Yield the messages of one record."""
        data = _Fields(body)
        try:
            if code == SCHEMA:
                number, name = data.number("H"), data.text()
                form = FORMATS.get(data.text(), MessageDefinitionFormat.NONE)
                self._schemas[number] = name, MessageDefinition(form, data.text())
            elif code == CHANNEL:
                self._channel(data)
            elif code == MESSAGE:
                yield from self._message(data)
            elif code == CHUNK:
                yield from self._chunk(data)
        except (struct.error, UnicodeDecodeError):  # an incomplete record
            return

    def _channel(self, data: _Fields) -> None:
        number, schema, topic, encoding = data.number("H"), data.number("H"), data.text(), data.text()
        extra, end = {}, data.number("I") + data.offset
        while data.offset < end:
            key = data.text()
            extra[key] = data.text()
        name, definition = self._schemas.get(schema, ("unknown", MessageDefinition(FORMATS["ros2msg"], "")))
        kind = ConnectionExtRosbag2(encoding, parse_qos(extra.get("offered_qos_profiles", "")))
        self._owner.found[number] = Connection(number, topic, name, definition, "", 0, kind, self._owner)

    def _message(self, data: _Fields) -> Iterator[StoredMessage]:
        channel, _, time, _ = data.number("H"), data.number("I"), data.number("Q"), data.number("Q")
        if channel in self._owner.found:
            yield StoredMessage(self._owner.found[channel], time, data.rest())

    def _chunk(self, data: _Fields) -> Iterator[StoredMessage]:
        _, _, size, _ = data.number("Q"), data.number("Q"), data.number("Q"), data.number("I")
        compression, _ = data.text(), data.number("Q")
        records = _decompress(data.rest(), compression, min(size, MOST_OF_CHUNK))
        self.broken += len(records) < size
        inner = io.BytesIO(records)
        while inner.tell() < len(records):
            code, body, whole = _record(inner, len(records) - inner.tell())
            if whole and code != CHUNK:
                yield from self.read(code, body)


class _Fields:
    """Reads little-endian fields in sequence; raises struct.error at the end of the bytes."""

    def __init__(self, body: bytes) -> None:
        self._body, self.offset = body, 0

    def number(self, code: str) -> int:
        """Read an unsigned number by its struct code."""
        (value,) = struct.unpack_from(f"<{code}", self._body, self.offset)
        self.offset += struct.calcsize(f"<{code}")
        return int(value)

    def text(self) -> str:
        """Read a string with a length prefix."""
        length = self.number("I")
        raw = self._body[self.offset : self.offset + length]
        if len(raw) < length:
            raise struct.error("a text is cut off")
        self.offset += length
        return raw.decode()

    def rest(self) -> bytes:
        """Return the remaining bytes."""
        return self._body[self.offset :]


def _decompress(data: bytes, compression: str, most: int) -> bytes:
    """Decompress a chunk as far as possible, up to about `most` bytes."""
    if not compression:
        return data
    engine: Any = zstd.ZstdDecompressor() if compression == "zstd" else lz4.frame.LZ4FrameDecompressor()
    out = b""
    try:
        for start in range(0, len(data), 4096):  # in pieces, so that an error only loses what follows
            out += engine.decompress(data[start : start + 4096])
            if len(out) > most:
                break
    except (RuntimeError, zstd.ZstdError, EOFError):
        pass
    return out


# sqlite3


def _scan_sqlite(path: Path, owner: RecoveredFile) -> Iterator[StoredMessage]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)) as base:
        try:
            base.execute("PRAGMA writable_schema = ON")  # lets SQLite open a truncated file
            _sqlite_topics(base, owner)
        except sqlite3.Error as error:
            raise ValueError(f"expected a rosbag2 in sqlite3: {error}") from error
        last, step = 0, 0
        while step <= FARTHEST:
            try:
                rows = base.execute(
                    "SELECT id, topic_id, timestamp, data FROM messages WHERE id > ? ORDER BY id",
                    (last + step,),
                )
                for number, topic, time, raw in rows:
                    last, step = number, 0
                    if topic in owner.found:
                        yield StoredMessage(owner.found[topic], time, bytes(raw))
                return
            except sqlite3.DatabaseError as error:
                owner.problem = f"damaged behind message {last}: {error}"
                step = max(1, 2 * step)


def _sqlite_topics(base: sqlite3.Connection, owner: RecoveredFile) -> None:
    columns = {row[1] for row in base.execute("PRAGMA table_info(topics)")}
    definitions: dict[str, MessageDefinition] = {}
    if "type_description_hash" in columns:
        query = "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
        definitions = {
            name: MessageDefinition(FORMATS.get(form, MessageDefinitionFormat.NONE), text)
            for name, form, text in base.execute(query)
        }
    none = MessageDefinition(MessageDefinitionFormat.NONE, "")
    for number, topic, name, form in base.execute("SELECT id, name, type, serialization_format FROM topics"):
        kind = ConnectionExtRosbag2(form, [])
        owner.found[number] = Connection(number, topic, name, definitions.get(name, none), "", 0, kind, owner)
