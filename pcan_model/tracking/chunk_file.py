"""A chunk of the journal as a file: NumPy arrays and JSON, so that reading it executes no code.

The memory of an engine is written as arrays. It is restored with an empty memory of the same engine as the
template, which gives the type, shape and dtype of each value.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.errors import DataError
from pcan_model.core.structures import Detections, State, Track

Arrays = dict[str, NDArray[Any]]
Record = TypeVar("Record")
HEADER, TRACKS = "header", "tracks"  # names of the JSON text and of the serialised messages, as bytes
PLAIN = {int, float, type(None)}  # what JSON holds of a record
INVALID = (  # what the libraries raise for invalid files
    *(OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, EOFError, RuntimeError),
    *(MemoryError, struct.error, zipfile.BadZipFile, zlib.error),
)


class NotSerializable(TypeError):
    """A memory that cannot be serialised, such as one on a device."""


@dataclass(frozen=True, slots=True)
class LabelResult:
    """The tracks of one image."""

    topic: str  # of the image; of a video its name
    tracks: bytes  # serialised, in a form of the caller's; empty where the image could not be read
    error: str = ""  # why it could not be read


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Results of consecutive images, and the state of the tracker after them."""

    results: tuple[LabelResult, ...]
    states: dict[str, tuple[State, float]] | None  # topic to state and last stamp in seconds; None: not saved


def write_chunk(path: Path, chunk: Chunk) -> None:
    """Save a chunk, without the states if their memories cannot be serialised."""
    arrays: Arrays = {TRACKS: _bytes(b"".join(result.tracks for result in chunk.results))}
    results = [[result.topic, len(result.tracks), result.error] for result in chunk.results]
    try:
        states = _pack_states(chunk.states, arrays)
    except NotSerializable:
        states = None
    arrays[HEADER] = _bytes(json.dumps({"answers": results, "states": states}).encode())
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue(), durable=True)


def read_chunk(path: Path, empty: Any) -> Chunk:
    """Read a chunk; raises DataError if the file is invalid.

    empty  memory of the engine before the first frame, as the template
    """
    try:
        _check_members(path)
        with np.load(path, allow_pickle=False) as file:
            arrays: Arrays = dict(file)
        header = json.loads(arrays[HEADER].tobytes())
        results = tuple(_unpack_results(header["answers"], arrays[TRACKS].tobytes()))
        return Chunk(results, _unpack_states(header["states"], arrays, empty))
    except INVALID as error:
        got = " ".join(str(error).split()) or type(error).__name__
        raise DataError(path, "chunk", "a part of an interrupted run", got) from None


def _check_members(path: Path) -> None:
    """Raise ValueError for a compressed member, whose size is unbounded; np.savez writes none."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > path.stat().st_size:
                raise ValueError(f"{member.filename!r} is compressed, or larger than the file")


def _bytes(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def _unpack_results(entries: Sequence[Any], data: bytes) -> Iterator[LabelResult]:
    place = 0
    for topic, length, error in entries:
        if not (isinstance(topic, str) and isinstance(error, str) and type(length) is int and length >= 0):
            raise ValueError(f"invalid entry {topic!r}, {length!r}, {error!r}")
        yield LabelResult(topic, data[place : place + length], error)
        place += length
    if place != len(data):
        raise ValueError(f"{len(data)} bytes of tracks, {place} in the header")


def _pack_states(states: dict[str, tuple[State, float]] | None, arrays: Arrays) -> list[Any] | None:
    """Add the arrays of the states to `arrays`; returns the other values as JSON."""
    if states is None:
        return None
    packed = []
    for number, (topic, (state, stamp)) in enumerate(states.items()):
        name = f"state{number}"
        for k, leaf in enumerate(_leaves(state.memory)):
            arrays[f"{name}.memory{k}"] = _array_of(leaf)
        if state.view is not None:
            arrays[f"{name}.view"] = state.view
        packed.append(
            {
                "topic": topic,
                "stamp": stamp,
                "session": state.session.hex,
                "next_id": state.next_id,
                "frame_index": state.frame_index,
                "last_frame": state.stamp,
                "drifted": state.drifted,
                "tracks": [_pack(t, f"{name}.track{k}", arrays) for k, t in enumerate(state.tracks)],
                "unmatched": [
                    _pack(d, f"{name}.unmatched{k}", arrays) for k, d in enumerate(state.unmatched)
                ],
            }
        )
    return packed


def _unpack_states(packed: Any, arrays: Arrays, empty: Any) -> dict[str, tuple[State, float]] | None:
    if packed is None:
        return None
    states = {}
    for number, values in enumerate(packed):
        name = f"state{number}"
        state = State(
            memory=_rebuild(empty, (arrays[f"{name}.memory{k}"] for k in range(len(list(_leaves(empty)))))),
            session=UUID(hex=values["session"]),
            tracks=_unpack_all(Track, values["tracks"], f"{name}.track", arrays),
            unmatched=_unpack_all(Detections, values["unmatched"], f"{name}.unmatched", arrays),
            next_id=_whole(values["next_id"]),
            frame_index=_whole(values["frame_index"]),
            stamp=None if values["last_frame"] is None else float(values["last_frame"]),
            view=arrays.get(f"{name}.view"),
            drifted=values["drifted"] is True,
        )
        states[str(values["topic"])] = state, float(values["stamp"])
    return states


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"expected an integer, got {value!r}")
    return value


def _pack(record: Any, name: str, arrays: Arrays) -> dict[str, Any]:
    """Put a record's arrays into `arrays`; returns its numbers by field, and those of records inside it."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    arrays.update({f"{name}.{key}": v for key, v in values.items() if isinstance(v, np.ndarray)})
    return {
        key: _pack(value, f"{name}.{key}", arrays) if is_dataclass(value) else value
        for key, value in values.items()
        if not isinstance(value, np.ndarray)
    }


def _unpack_all(kind: type[Record], entries: Any, name: str, arrays: Arrays) -> tuple[Record, ...]:
    return tuple(_unpack(kind, entry, f"{name}{k}", arrays) for k, entry in enumerate(entries))


def _unpack(kind: type[Record], numbers: dict[str, Any], name: str, arrays: Arrays) -> Record:
    """Build a record of numbers, arrays and records; ValueError where a number is of another type."""
    hints = get_type_hints(kind)
    return kind(**{key: _unpack_field(hint, key, numbers, name, arrays) for key, hint in hints.items()})


def _unpack_field(hint: Any, key: str, numbers: dict[str, Any], name: str, arrays: Arrays) -> Any:
    if NoneType in get_args(hint):
        if key in numbers and numbers[key] is None:  # an array is not among the numbers
            return None
        (hint,) = (each for each in get_args(hint) if each is not NoneType)
    if is_dataclass(hint):
        return _unpack(hint, numbers[key], f"{name}.{key}", arrays)  # type: ignore[arg-type]
    if hint not in (int, float):
        return arrays[f"{name}.{key}"]
    if type(numbers[key]) is not hint:
        raise ValueError(f"{name}.{key}: {numbers[key]!r}")
    return numbers[key]


def _leaves(memory: Any) -> Iterator[Any]:
    """Yield the values in a memory, a dataclass of values and tuples of them, in order."""
    if is_dataclass(memory):
        for field in fields(memory):
            yield from _leaves(getattr(memory, field.name))
    elif isinstance(memory, tuple):
        for item in memory:
            yield from _leaves(item)
    else:
        yield memory


def _rebuild(empty: Any, arrays: Iterator[NDArray[Any]]) -> Any:
    """Return a memory structured like `empty` with other values, in the order of `_leaves`."""
    if is_dataclass(empty):
        parts = {field.name: _rebuild(getattr(empty, field.name), arrays) for field in fields(empty)}
        return type(empty)(**parts)  # type: ignore[misc]
    if isinstance(empty, tuple):
        return tuple(_rebuild(item, arrays) for item in empty)
    known, array = _array_of(empty), next(arrays)
    if (array.shape, array.dtype) != (known.shape, known.dtype):
        raise ValueError(f"memory: expected {known.shape} {known.dtype}, got {array.shape} {array.dtype}")
    return _value_like(empty, array)


def _array_of(value: Any) -> NDArray[Any]:
    """Return an array, or a runtime's tensor as one; raises NotKept for anything else."""
    if isinstance(value, np.ndarray):
        return value
    if type(value).__name__ == "OrtValue":  # of ONNX Runtime
        return np.asarray(value.numpy())
    if type(value).__name__ == "Tensor" and isinstance(value.data, np.ndarray):  # of OpenVINO
        return value.data
    raise NotSerializable(f"{type(value).__name__}: cannot be saved between runs")


def _value_like(value: Any, array: NDArray[Any]) -> Any:
    """Return an array as a tensor of the same runtime and device as `value`."""
    if isinstance(value, np.ndarray):
        return array
    if type(value).__name__ == "OrtValue":
        return type(value).ortvalue_from_numpy(array, value.device_name())
    return type(value)(array.copy())
