"""Fuzz target: the journal of `pcan-bag label`. Any chunk gives results and states, or DataError."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from support.scripted_engine import Memory, ScriptedEngine, Thing, blank

from pcan_model.core.errors import DataError
from pcan_model.tracking.chunk_file import Chunk, LabelResult, read_chunk, write_chunk
from pcan_model.tracking.tracker import Tracker

EXPECTED = (DataError,)
EMPTY = (np.zeros((2, 3), np.float32), np.zeros(4, np.int64))


def seeds() -> Iterator[bytes]:
    """Yield a chunk without states and one with a track."""
    results = (LabelResult("/a", b"tracks"), LabelResult("/b", b"", "broken"))
    tracker = Tracker(ScriptedEngine([[Thing(1, (5, 5, 20, 20))]]))
    state, _ = tracker.step(tracker.start(), blank(1.0))
    assert isinstance(state.memory, Memory)
    with tempfile.TemporaryDirectory() as folder:
        for states in (None, {"/a": (_with_memory(state), 1.0)}):
            write_chunk(Path(folder) / "chunk", Chunk(results, states))
            yield (Path(folder) / "chunk").read_bytes()


def check(data: bytes, folder: Path) -> None:
    """Read the bytes as a chunk."""
    (folder / "0.chunk").write_bytes(data)
    read_chunk(folder / "0.chunk", EMPTY)


def _with_memory(state: object) -> object:
    from dataclasses import replace

    return replace(state, memory=EMPTY)  # type: ignore[type-var]
