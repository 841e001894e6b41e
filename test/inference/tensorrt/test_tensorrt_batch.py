"""Several cameras in one launch get what each would get alone, whoever has a new image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from support.batched import export_batched
from support.bench import ROWS, TRACKS, Bench, same
from support.fake_cudart import FakeCudart, cudaError_t
from support.moving import moving_blocks
from support.squares import pixels

from pcan_model.core.engine import Engine
from pcan_model.core.structures import Slots, Tracks
from pcan_model.inference.errors import EngineLost, ModelError
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.inference.tensorrt.batch_engine import TensorRtBatchEngine
from pcan_model.tracking.tracker import Tracker

CAMERAS, CAR = 3, 2


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_batched(tmp_path_factory.mktemp("batched"), CAMERAS)


class Eye:
    """What one camera sees and how it is booked; the same for a seed."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def see(self) -> tuple[np.ndarray, Slots, bool]:
        """Return an image, slots, and whether it is remembered."""
        random = self.random
        squares = {label: (int(random.integers(70)), 10 + 12 * i) for i, label in enumerate((2, 7))}
        image = pixels(squares if random.random() < 0.8 else {})
        image[-4:] = random.integers(256)
        slots = Slots(
            random.integers(TRACKS, size=ROWS),
            random.integers(2, size=ROWS).astype(np.float32),
            random.integers(ROWS, size=TRACKS),
            random.integers(2, size=TRACKS).astype(np.float32),
        )
        return image, slots, bool(random.random() < 0.7)


def alone(engine: Engine, memory: Any, seen: tuple[np.ndarray, Slots, bool]) -> tuple[list[np.ndarray], Any]:
    """Return what an engine for one camera makes of an image, and the next memory."""
    image, slots, remember = seen
    found, features = engine.detect(image, memory)
    logits, memory = engine.segment(features, slots, memory, remember=remember)
    return [found.boxes, found.scores, found.labels, found.embeds, logits[: len(found)]], memory


def test_it_serves_its_cameras_at_once_and_tells_its_facts(model: Path, bench: Bench) -> None:
    engine = TensorRtBatchEngine(bench.source(model))
    assert engine.cameras_at_once == CAMERAS and bench.engine(model).cameras_at_once == 1
    assert "3 cameras at once, 0 CUDA graphs" in engine.facts.engine
    assert (engine.facts.device_memory or 0) > 2 << 20


def test_hundreds_of_frames_are_those_of_single_cameras_on_onnx_runtime(model: Path, bench: Bench) -> None:
    ours, theirs = TensorRtBatchEngine(bench.source(model)), OnnxEngine(model, 1)
    random = np.random.default_rng(5)
    eyes = [Eye(seed) for seed in range(CAMERAS)]
    memories = [ours.start(n) for n in range(CAMERAS)]
    references = [theirs.start() for _ in range(CAMERAS)]
    ahead = dict[int, Any]()

    def look_ahead() -> None:
        for camera in range(CAMERAS):
            if random.random() < 0.3:
                ahead.setdefault(camera, eyes[camera].see())
                ours.stage(ahead[camera][0], memories[camera])

    ours.meanwhile = look_ahead
    served, told = 0, set()
    for _ in range(200):
        here = [n for n in range(CAMERAS) if random.random() < 0.6]
        for n in here:
            if random.random() < 0.03:
                memories[n], references[n] = ours.start(n), theirs.start()
        if not here:
            continue
        seen = {n: ahead.pop(n, None) or eyes[n].see() for n in here}
        found, features = ours.detect_cameras(
            {n: image for n, (image, _, _) in seen.items()},
            {n: memories[n] for n in here},
            remember={n for n, (_, _, remember) in seen.items() if remember},
        )
        logits, after = ours.segment_cameras(features, {n: slots for n, (_, slots, _) in seen.items()})
        for n in here:
            memories[n] = after[n]
            expected, references[n] = alone(theirs, references[n], seen[n])
            mine = found[n]
            same([mine.boxes, mine.scores, mine.labels, mine.embeds, logits[n][: len(mine)]], expected)
            told.add(float(expected[-1].sum()))
            served += 1
    assert served > 300 and len(told) > 100
    assert "4 CUDA graphs" in ours.facts.engine and bench.trt.launched_alone == 4


def test_one_camera_of_several_is_run_alone_as_by_an_engine_for_one(model: Path, bench: Bench) -> None:
    ours, theirs = TensorRtBatchEngine(bench.source(model)), OnnxEngine(model, 1)
    eyes = [Eye(seed) for seed in range(CAMERAS)]
    memories = [ours.start(n) for n in range(CAMERAS)]
    references = [theirs.start() for _ in range(CAMERAS)]
    random = np.random.default_rng(2)
    for _ in range(60):
        camera = int(random.integers(CAMERAS))
        seen = eyes[camera].see()
        mine, memories[camera] = alone(ours, memories[camera], seen)
        expected, references[camera] = alone(theirs, references[camera], seen)
        same(mine, expected)


@pytest.mark.parametrize("several", [True, False])
def test_a_closed_engine_gives_everything_back_and_runs_nothing(
    model: Path, bench: Bench, several: bool
) -> None:
    engine = TensorRtBatchEngine(bench.source(model)) if several else bench.engine(model)
    memory: Any = engine.start()
    for _ in range(2):
        engine.close()
    left = bench.cudart
    assert not (left.device or left.pinned or left.streams or left.events)
    for act in (lambda: engine.detect(pixels({}), memory), lambda: engine.start()):
        with pytest.raises(EngineLost, match="the engine is closed"):
            act()


def test_a_warm_round_is_two_launches_for_all_cameras(model: Path, bench: Bench) -> None:
    engine = TensorRtBatchEngine(bench.source(model))
    tracker = Tracker(engine, replace(engine.config.tracker, init_score=0.5))
    states = {n: tracker.start(camera=n) for n in range(CAMERAS)}
    frames = moving_blocks(1, 64, 96)[0]
    frame = replace(frames, image=pixels({CAR: (5, 10)}))
    for _ in range(6):
        states = {
            n: state for n, (state, _) in tracker.step_cameras(states, dict.fromkeys(states, frame)).items()
        }
    bench.cudart.calls.clear()
    tracker.step_cameras(states, dict.fromkeys(states, frame))
    assert bench.cudart.calls["cudaGraphLaunch"] == 2 == bench.cudart.calls["cudaStreamSynchronize"]
    assert bench.cudart.calls["cudaMemcpyAsync"] == CAMERAS and not bench.cudart.calls["cudaMalloc"]


def test_only_the_newest_memory_of_the_very_camera_is_taken(model: Path, bench: Bench) -> None:
    engine = TensorRtBatchEngine(bench.source(model))
    one, two = engine.start(0), engine.start(1)
    image = pixels({CAR: (5, 10)})
    with pytest.raises(ValueError, match=r"newest one of camera 0 .* of camera 1"):
        engine.detect_cameras({0: image}, {0: two}, remember={0})
    _, features = engine.detect_cameras({0: image}, {0: one}, remember={0})
    engine.segment_cameras(features, {0: Eye(0).see()[1]})
    with pytest.raises(ValueError, match="earlier memories are gone"):
        engine.detect_cameras({0: image}, {0: one}, remember={0})
    with pytest.raises(ValueError, match=r"image: expected \(64, 96, 3\) uint8, got \(64, 64, 3\)"):
        engine.detect_cameras({1: image[:, :64]}, {1: two}, remember={1})


def test_a_camera_that_starts_anew_leaves_the_others_alone(model: Path, bench: Bench) -> None:
    ours, theirs = TensorRtBatchEngine(bench.source(model)), OnnxEngine(model, 1)
    eye, memories, reference = Eye(3), [ours.start(n) for n in range(CAMERAS)], theirs.start()
    for turn in range(6):
        image, slots, _ = eye.see()
        memories[0] = ours.start(0)
        every = dict.fromkeys(range(CAMERAS), image)
        found, features = ours.detect_cameras(every, dict(enumerate(memories)), remember={0, 1, 2})
        logits, after = ours.segment_cameras(features, dict.fromkeys(range(CAMERAS), slots))
        memories = [after[n] for n in range(CAMERAS)]
        fresh, _ = alone(theirs, theirs.start(), (image, slots, True))
        old, reference = alone(theirs, reference, (image, slots, True))
        for n, expected in ((0, fresh), (1, old), (2, old)):
            same([found[n].embeds, logits[n][: len(found[n])]], [expected[3], expected[4]])
        assert turn == 0 or not np.array_equal(fresh[3], old[3]) or not len(found[0])


def test_a_failing_device_loses_all_cameras_and_gives_all_back(model: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path, FakeCudart(memory=100_000))
    with pytest.raises(EngineLost, match=r"CUDA: cudaMalloc for .* MiB: cudaErrorMemoryAllocation"):
        TensorRtBatchEngine(bench.source(model))
    left = bench.cudart
    assert not (left.device or left.pinned or left.streams or left.events)
    bench = Bench(tmp_path)
    engine = TensorRtBatchEngine(bench.source(model))
    memory = engine.start(1)
    bench.cudart.lost = cudaError_t.cudaErrorIllegalAddress
    for act in (
        lambda: engine.detect_cameras({1: pixels({})}, {1: memory}, remember=()),
        lambda: engine.start(0),
    ):
        with pytest.raises(EngineLost, match="cudaErrorIllegalAddress"):
            act()


def test_graphs_for_another_number_of_cameras_are_refused(tmp_path: Path, bench: Bench) -> None:
    folder = export_batched(tmp_path / "model", CAMERAS)
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"cameras": 3', '"cameras": 2'))
    with pytest.raises(ModelError, match=r"image: expected \(2, 64, 96, 3\) as in manifest.json, got \(3,"):
        TensorRtBatchEngine(bench.source(folder))


def test_a_real_network_for_two_cameras_tracks_as_two_single_ones(two_cameras: Path, bench: Bench) -> None:
    drives = [moving_blocks(30, 150, 300, seed=seed) for seed in range(2)]
    batch, single = (
        Tracker(TensorRtBatchEngine(bench.source(two_cameras))),
        Tracker(OnnxEngine(two_cameras, 1)),
    )
    states = {n: batch.start(UUID(int=n), camera=n) for n in range(2)}
    references = [single.start(UUID(int=n)) for n in range(2)]
    kept = 0
    for i in range(30):
        here = [n for n in range(2) if n == 0 or i % 3]  # the second camera is slower
        after = batch.step_cameras(states, {n: drives[n][i] for n in here})
        for n in here:
            states[n], ours = after[n]
            references[n], theirs = single.step(references[n], drives[n][i])
            alike(ours, theirs)
            kept += len(theirs.found())
    assert kept > 60, "nothing was tracked: this would show nothing"


def alike(ours: Tracks, theirs: Tracks) -> None:
    summaries = [[(i.track_id, i.uuid, i.state, i.label) for i in t.instances] for t in (ours, theirs)]
    assert summaries[0] == summaries[1]
    for x, y in zip(ours.instances, theirs.instances, strict=True):
        np.testing.assert_allclose(x.box, y.box, atol=0.05)
        different = x.mask.full(ours.height, ours.width) != y.mask.full(ours.height, ours.width)
        assert different.sum() <= max(3, 0.002 * x.mask.crop.size)
