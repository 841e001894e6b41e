"""What was answered so far, on disk: chunk after chunk, each with the tracker's states behind it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.errors import DataError
from pcan_model.core.structures import State
from pcan_ros.bag.chunk_file import Chunk, LabelAnswer, read_chunk, write_chunk


@dataclass(slots=True)
class Journal:
    """A folder of chunks; a job that differs from the one before it starts anew.

    A chunk that cannot be read, and all behind it, are made again; so are those behind which the engine's
    memory was not kept, unless they are followed by one where it was.
    """

    folder: Path
    job: dict[str, Any]  # what decides the answers
    empty: Any  # the engine's memory before the first frame
    tell: Callable[[str], object] = print  # takes in a line what cannot be read
    done: int = field(default=0, init=False)  # images answered
    states: dict[str, tuple[State, float]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        note = self.folder / "job.json"
        text = json.dumps(self.job, indent=1, sort_keys=True)
        if not note.is_file() or note.read_text() != text:
            shutil.rmtree(self.folder, ignore_errors=True)
            write_bytes(note, text.encode())
        self._resume()

    def append(self, chunk: Chunk) -> None:
        """Save a chunk."""
        write_chunk(self.folder / f"{self.done:09d}.chunk", chunk)
        self.done += len(chunk.answers)
        self.states = chunk.states or {}

    def answers(self) -> Iterator[LabelAnswer]:
        """Yield everything that was answered, in order."""
        for path in self._paths():
            yield from read_chunk(path, self.empty).answers

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("*.chunk"))

    def _resume(self) -> None:
        """Go on behind the last chunk that can be; remove what is behind it."""
        read, kept, paths = 0, 0, self._paths()
        for number, path in enumerate(paths):
            try:
                chunk = self._next(path, read)
            except DataError as error:
                self.tell(f"{error}; its images are tracked again")
                break
            read += len(chunk.answers)
            if chunk.states is not None:
                self.done, self.states, kept = read, chunk.states, number + 1
        for path in paths[kept:]:
            path.unlink()

    def _next(self, path: Path, place: int) -> Chunk:
        """Read a chunk; DataError also where it does not follow the last one."""
        if path.stem != f"{place:09d}":
            raise DataError(path, "name", f"{place:09d}.chunk", path.name)
        return read_chunk(path, self.empty)
