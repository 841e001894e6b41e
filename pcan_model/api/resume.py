"""Tracking that an interrupted run resumes: results and state are saved every few images."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pcan_model.core.packed_tracks import pack_tracks, unpack_tracks
from pcan_model.core.structures import Frame, State, Tracks
from pcan_model.data.clips import ClipFrame
from pcan_model.data.files import visible
from pcan_model.data.footage import Footage, seconds_of
from pcan_model.tracking.chunk_file import Chunk, LabelResult
from pcan_model.tracking.journal import CHUNK, Journal
from pcan_model.tracking.pace import Pace
from pcan_model.tracking.tracker import Tracker


def resumable_tracks(
    tracker: Tracker,
    pace: Pace,
    footage: Footage,
    folder: Path,
    job: dict[str, Any],
    say: Callable[[str], object],
) -> Iterator[tuple[ClipFrame, float, Tracks]]:
    """Yield every image with its time and its tracks, those of an interrupted run from its journal.

    pace    which images are key frames
    folder  of the journal, which is removed after the last image
    job     everything that determines the tracks; a journal of another job is discarded
    say     receives a line about what is resumed, and what cannot be
    """
    journal = Journal(folder, job, tracker.start().memory, say)
    if journal.done:
        say(f"resuming after {journal.done} images")
    known, _ = journal.states.get(footage.name, (None, 0.0))
    state: State = known or tracker.start()
    earlier, pending = journal.results(), list[LabelResult]()
    done = journal.done
    for number, each in enumerate(footage.frames()):
        time = seconds_of(footage, each)
        if number < done:
            tracks = unpack_tracks(next(earlier).tracks)
        else:
            kind = pace.kind(drifted=state.drifted)
            state, tracks = tracker.step(state, Frame(each.image, time), kind=kind)
            pending.append(LabelResult(footage.name, pack_tracks(tracks)))
        pace = pace.after(tracks.kind, 0.0)  # its interval is fixed
        if len(pending) == CHUNK:
            journal.append(Chunk(tuple(pending), {footage.name: (state, time)}))
            pending = []
        yield each, time, tracks
    shutil.rmtree(folder)


def job_of(source: Path, tracker: Tracker, model: str) -> dict[str, Any]:
    """Return everything that determines the tracks of a file or folder; `model` names weights and options."""
    files = [source] if source.is_file() else [path for path in visible(source.iterdir()) if path.is_file()]
    return {
        "source": str(source.resolve()),
        "files": {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in files},
        "model": model,
        "config": hashlib.sha256(repr(tracker.engine.config).encode()).hexdigest(),
        "tracker": repr(tracker.config),
    }
