"""What was answered so far, on disk: chunk after chunk, each with the tracker's states behind it."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pcan_model.core.structures import State
from pcan_model.visualization.render import save_bytes


@dataclass(frozen=True, slots=True)
class LabelAnswer:
    """What the tracker said of one image."""

    topic: str  # of the image
    tracks: bytes  # serialised TrackedInstanceArray; empty where the image could not be read
    error: str = ""  # why not


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Answers in a row, and where the tracker stands after them."""

    answers: tuple[LabelAnswer, ...]
    states: dict[str, tuple[State, float]]  # topic to state and last stamp in seconds


@dataclass(slots=True)
class Journal:
    """A folder of chunks; a job that differs from the one before it starts anew."""

    folder: Path
    job: dict[str, Any]  # what decides the answers
    done: int = field(default=0, init=False)  # images answered
    states: dict[str, tuple[State, float]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        note = self.folder / "job.json"
        text = json.dumps(self.job, indent=1, sort_keys=True)
        if not note.is_file() or note.read_text() != text:
            shutil.rmtree(self.folder, ignore_errors=True)
            save_bytes(note, text.encode())
        for chunk in self._chunks():
            self.done += len(chunk.answers)
            self.states = chunk.states

    def append(self, chunk: Chunk) -> None:
        """Save a chunk, whole or not at all."""
        buffer = io.BytesIO()
        _Pickler(buffer).dump(chunk)
        save_bytes(self.folder / f"{self.done:09d}.chunk", buffer.getvalue())
        self.done += len(chunk.answers)
        self.states = chunk.states

    def answers(self) -> Iterator[LabelAnswer]:
        """Yield everything that was answered, in order."""
        for chunk in self._chunks():
            yield from chunk.answers

    def _chunks(self) -> Iterator[Chunk]:
        for path in sorted(self.folder.glob("*.chunk")):
            with path.open("rb") as file:
                yield pickle.load(file)


class _Pickler(pickle.Pickler):
    """Writes values that live inside ONNX Runtime as arrays."""

    def reducer_override(self, value: Any) -> Any:
        """Say how a runtime's value is made again; everything else as usual."""
        if type(value).__name__ == "OrtValue":
            return type(value).ortvalue_from_numpy, (value.numpy(),)
        return NotImplemented
