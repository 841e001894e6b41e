"""The results so far, on disk: a sequence of chunks, each with the states of the tracker after it."""

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
from pcan_model.tracking.chunk_file import Chunk, LabelResult, read_chunk, write_chunk

CHUNK = 25  # images per chunk


@dataclass(slots=True)
class Journal:
    """A folder of chunks; a different job discards those of the previous one.

    Tracking resumes after the last chunk that was saved with the engine's memory. Later chunks, and all from
    the first one that cannot be read, are tracked again.
    """

    folder: Path
    job: dict[str, Any]  # everything that determines the results
    empty: Any  # the engine's memory before the first frame
    warn: Callable[[str], object] = print  # receives a line about a chunk that cannot be read
    done: int = field(default=0, init=False)  # images with results
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
        self.done += len(chunk.results)
        self.states = chunk.states or {}

    def results(self) -> Iterator[LabelResult]:
        """Yield all results, in order."""
        for path in self._paths():
            yield from read_chunk(path, self.empty).results

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("*.chunk"))

    def _resume(self) -> None:
        """Resume after the last usable chunk; delete the chunks after it."""
        read, kept, paths = 0, 0, self._paths()
        for number, path in enumerate(paths):
            try:
                chunk = self._next(path, read)
            except DataError as error:
                self.warn(f"{error}; its images are tracked again")
                break
            read += len(chunk.results)
            if chunk.states is not None:
                self.done, self.states, kept = read, chunk.states, number + 1
        for path in paths[kept:]:
            path.unlink()

    def _next(self, path: Path, place: int) -> Chunk:
        """Read a chunk; raises DataError also if it does not follow the previous one."""
        if path.stem != f"{place:09d}":
            raise DataError(path, "name", f"{place:09d}.chunk", path.name)
        return read_chunk(path, self.empty)
