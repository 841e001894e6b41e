"""The journal of an interrupted run is read as it was written, and reading it executes no code."""

from __future__ import annotations

import io
import json
import pickle
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from support.squares import export_squares, pixels

from pcan_model.core.errors import DataError
from pcan_model.core.structures import Frame, State
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.tracking.chunk_file import Chunk, LabelResult, read_chunk, write_chunk
from pcan_model.tracking.journal import Journal
from pcan_model.tracking.tracker import Tracker

CAR = 2


@pytest.fixture(scope="module", params=["mean", "kalman"])
def tracker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    engine = OnnxEngine(export_squares(tmp_path_factory.mktemp("squares")), 1)
    moving = request.param == "kalman"
    own = replace(engine.config.tracker, motion=request.param, camera_motion=moving, gate=13.3 * moving)
    return Tracker(engine, replace(own, confirm_frames=1 + moving))


def frame(number: int) -> Frame:
    return Frame(pixels({CAR: (10 + number, 10)}), number / 10)


def after(tracker: Tracker, frames: int) -> State:
    """Return the state after some frames with a car in them, the last one without."""
    state = tracker.start()
    for number in range(frames):
        state, _ = tracker.step(state, frame(number))
    return tracker.step(state, Frame(pixels({}), frames / 10))[0]


def chunk(state: State, results: int = 2) -> Chunk:
    said = tuple(LabelResult("/a", b"track%d" % k) for k in range(results - 1))
    return Chunk((*said, LabelResult("/a", b"", "/a: no image")), {"/a": (state, 0.3)})


def same(one: Any, other: Any) -> None:
    """Compare records of numbers and arrays, types included."""
    for field in fields(one):
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        assert type(ours) is type(theirs), field.name
        if is_dataclass(ours):
            same(ours, theirs)
        elif isinstance(ours, np.ndarray):
            assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs), field.name
        else:
            assert ours == theirs, field.name


def test_a_chunk_comes_back_to_the_last_bit(tracker: Tracker, tmp_path: Path) -> None:
    written = chunk(after(tracker, 3))
    write_chunk(tmp_path / "c", written)
    read = read_chunk(tmp_path / "c", tracker.start().memory)
    assert read.results == written.results and read.states is not None and written.states is not None
    (state, stamp), (expected, _) = read.states["/a"], written.states["/a"]
    assert stamp == 0.3 and expected.tracks
    for name in ("session", "next_id", "frame_index", "stamp"):
        assert getattr(state, name) == getattr(expected, name)
    assert np.array_equal(state.view, expected.view)
    for part in ("tracks", "unmatched"):
        for ours, theirs in zip(getattr(state, part), getattr(expected, part), strict=True):
            same(ours, theirs)
    for ours, theirs in zip(
        (*state.memory.frames, *state.memory.bank),
        (*expected.memory.frames, *expected.memory.bank),
        strict=True,
    ):
        assert type(ours) is type(theirs) and np.array_equal(ours.numpy(), theirs.numpy())


def test_tracking_resumes_from_a_chunk_with_identical_results(tracker: Tracker, tmp_path: Path) -> None:
    state = after(tracker, 2)
    write_chunk(tmp_path / "c", chunk(state))
    states = read_chunk(tmp_path / "c", tracker.start().memory).states
    assert states is not None
    ours, theirs = states["/a"][0], state
    for number in range(3, 6):
        ours, found = tracker.step(ours, frame(number))
        theirs, expected = tracker.step(theirs, frame(number))
        for one, other in zip(found.instances, expected.instances, strict=True):
            assert (one.track_id, one.uuid, one.score) == (other.track_id, other.uuid, other.score)
            assert np.array_equal(one.box, other.box) and np.array_equal(one.velocity, other.velocity)
            assert np.array_equal(one.mask.crop, other.mask.crop)


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("form", ["pickle", "object array", "npy"])
def test_a_crafted_chunk_executes_nothing_and_is_rejected(
    tracker: Tracker, tmp_path: Path, form: str
) -> None:
    trap, path = Trap(tmp_path / "trapped"), tmp_path / "c"
    buffer = io.BytesIO()
    if form == "pickle":
        pickle.dump(trap, buffer)
    elif form == "npy":
        np.save(buffer, np.array([trap], object), allow_pickle=True)
    else:
        np.savez(buffer, header=np.array([trap], object), allow_pickle=True)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match="c: chunk: expected a part of an interrupted run, got") as error:
        read_chunk(path, tracker.start().memory)
    assert "\n" not in str(error.value) and not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_damaged_chunk_is_rejected(tracker: Tracker, tmp_path: Path, place: float) -> None:
    path = tmp_path / "c"
    write_chunk(path, chunk(after(tracker, 2)))
    whole = path.read_bytes()
    for damaged in (whole[: int(place * len(whole))], b"", b"\0" * 100):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="c: chunk: expected"):
            read_chunk(path, tracker.start().memory)


def changed(path: Path, change: Any) -> None:
    """Rewrite a chunk with another header or other arrays."""
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].tobytes())
    change(header, arrays)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with path.open("wb") as file:
        np.savez(file, **arrays)


@pytest.mark.parametrize(
    "change",
    [
        lambda header, arrays: header["answers"][0].__setitem__(1, -5),
        lambda header, arrays: header["answers"].pop(0),
        lambda header, arrays: header.pop("states"),
        lambda header, arrays: header["states"][0].pop("session"),
        lambda header, arrays: header["states"][0].__setitem__("next_id", "7"),
        lambda header, arrays: header["states"][0]["tracks"][0].__setitem__("slot", 0.5),
        lambda header, arrays: arrays.pop("state0.memory0"),
        lambda header, arrays: arrays.__setitem__("state0.memory0", np.zeros(3, np.float32)),
        lambda header, arrays: arrays.pop("state0.track0.box"),
    ],
)
def test_an_inconsistent_chunk_is_rejected(tracker: Tracker, tmp_path: Path, change: Any) -> None:
    path = tmp_path / "c"
    write_chunk(path, chunk(after(tracker, 2)))
    changed(path, change)
    with pytest.raises(DataError):
        read_chunk(path, tracker.start().memory)


def journal(folder: Path, empty: Any, told: list[str] | None = None) -> Journal:
    return Journal(folder, {"job": 1}, empty, (told if told is not None else []).append)


def test_everything_from_a_damaged_chunk_on_is_tracked_again(tracker: Tracker, tmp_path: Path) -> None:
    empty, told = tracker.start().memory, list[str]()
    first = journal(tmp_path / "j", empty)
    for frames in (1, 2, 3):
        first.append(chunk(after(tracker, frames)))
    assert first.done == 6
    assert journal(tmp_path / "j", empty).done == 6
    (tmp_path / "j" / "000000002.chunk").write_bytes(b"PK broken")
    again = journal(tmp_path / "j", empty, told)
    assert again.done == 2 and again.states["/a"][0].frame_index == 2
    assert len(told) == 1 and "000000002.chunk: chunk: expected" in told[0] and "tracked again" in told[0]
    assert [p.name for p in (tmp_path / "j").glob("*.chunk")] == ["000000000.chunk"]
    assert len(list(again.results())) == 2


def test_chunks_after_a_missing_one_are_not_used(tracker: Tracker, tmp_path: Path) -> None:
    empty, told = tracker.start().memory, list[str]()
    first = journal(tmp_path / "j", empty)
    for frames in (1, 2, 3):
        first.append(chunk(after(tracker, frames)))
    (tmp_path / "j" / "000000002.chunk").unlink()
    assert journal(tmp_path / "j", empty, told).done == 2
    assert told and "expected 000000002.chunk, got 000000004.chunk" in told[0]


def test_a_memory_on_a_device_is_not_saved_and_its_images_are_tracked_again(tmp_path: Path) -> None:
    state = State(memory=object(), session=uuid4())
    first = journal(tmp_path / "j", object())
    first.append(chunk(state))
    assert [result.tracks for result in first.results()] == [b"track0", b""]
    assert journal(tmp_path / "j", object()).done == 0
