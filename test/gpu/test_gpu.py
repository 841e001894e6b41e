"""What needs a GPU: `make test-gpu`, with MODEL=folder of a model exported by `pcan-export --roi gridsample`.

Builds the engines, compares with ONNX Runtime on the CPU, looks at memory and CUDA graphs, and prints
latencies. Written without a GPU at hand: if something here fails on yours, the fault may be the test's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from support.moving import track

from pcan_model.core.structures import Frame, Tracks
from pcan_model.inference.errors import ModelError
from pcan_model.inference.manifest import ModelFiles
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.inference.tensorrt.batch_engine import TensorRtBatchEngine
from pcan_model.inference.tensorrt.bindings import Bindings, load_bindings
from pcan_model.inference.tensorrt.cuda import Cuda
from pcan_model.inference.tensorrt.engine import TensorRtEngine
from pcan_model.inference.tensorrt.engine_pair import Source
from pcan_model.synthetic.drive import SyntheticDrive
from pcan_model.tracking.tracker import Stopwatch, Tracker

ROOT = Path(__file__).parents[2]
MODEL = Path(os.environ.get("PCAN_GPU_MODEL") or ROOT / "models" / "pcan_street_tiny")
SOAK = int(os.environ.get("PCAN_GPU_SOAK") or 5000)  # frames
SLACK = 8 << 20  # bytes of device memory that the driver may take meanwhile


@pytest.fixture(scope="module")
def bindings() -> Bindings:
    """Return what is installed, or skip with the reason."""
    try:
        found = load_bindings()
    except ModelError as error:
        pytest.skip(str(error))
    if not Cuda(found.cudart).devices():
        pytest.skip(f"{found.title} is installed, but there is no CUDA device")
    return found


@pytest.fixture(scope="module")
def files(bindings: Bindings) -> ModelFiles:
    files = ModelFiles(MODEL)
    if not files.manifest.grid_sample:
        pytest.skip(f"{MODEL} has RoIAlign: export one with --roi gridsample and say MODEL=folder")
    return files


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def engine(files: ModelFiles, bindings: Bindings, cache: Path) -> Iterator[TensorRtEngine]:
    """Return the engine, built here; that may take minutes."""
    begin = time.monotonic()
    yield TensorRtEngine(Source(files, bindings, cache))
    print(f"\nbuilt, or loaded, and used for {time.monotonic() - begin:.0f} s in all")


@pytest.fixture(scope="module")
def drive(files: ModelFiles) -> list[Frame]:
    drive = SyntheticDrive(100_001, length=40)
    return [Frame(drive.frame(i).image, i / 10) for i in range(len(drive))]


def free_memory(bindings: Bindings) -> int:
    error, free, _ = bindings.cudart.cudaMemGetInfo()
    assert error == bindings.cudart.cudaError_t.cudaSuccess
    return int(free)


def test_the_engines_build_and_load_again_without_building(
    engine: TensorRtEngine, files: ModelFiles, bindings: Bindings, cache: Path
) -> None:
    said: list[str] = []
    again = TensorRtEngine(Source(files, bindings, cache, build=False, say=said.append))
    assert said == [] and again.facts.backend == "tensorrt"
    print(f"\n{again.facts.texts()}")


def test_it_tracks_as_onnx_runtime_on_the_cpu_does(
    engine: TensorRtEngine, files: ModelFiles, drive: list[Frame]
) -> None:
    ours, theirs = track(engine, drive), track(OnnxEngine(files.folder, provider="cpu"), drive)
    found, alike, overlaps = 0, 0, []
    for a, b in zip(ours, theirs, strict=True):
        reference = {i.track_id: i for i in b.found()}
        found += len(reference)
        for mine in a.found():
            other = reference.get(mine.track_id)
            if other is None or other.label != mine.label:
                continue
            alike += 1
            one, two = (i.mask.full(a.height, a.width).astype(bool) for i in (mine, other))
            overlaps.append((one & two).sum() / (one | two).sum() if (one | two).any() else 1.0)
    print(f"\n{alike} of {found} alike, mask IoU {np.median(overlaps):.4f}, worst {min(overlaps):.4f}")
    assert found > 40, "nothing was tracked: this would show nothing"
    assert alike >= 0.95 * found and np.median(overlaps) > 0.97


def test_two_cameras_do_not_see_each_other(engine: TensorRtEngine, drive: list[Frame]) -> None:
    alone = track(engine, drive[:10])
    tracker = Tracker(engine)
    one, two = tracker.start(), tracker.start()
    for frame, reference in zip(drive[:10], alone, strict=True):
        one, mine = tracker.step(one, frame)
        two, _ = tracker.step(two, Frame(np.ascontiguousarray(frame.image[:, ::-1]), frame.stamp))
        assert said(mine) == said(reference)


def test_cameras_in_one_launch_see_what_they_see_alone(
    files: ModelFiles, bindings: Bindings, cache: Path, engine: TensorRtEngine, drive: list[Frame]
) -> None:
    if files.manifest.cameras == 1:
        pytest.skip(f"{MODEL} has no graphs for several cameras: export one with --cameras N")
    batch = TensorRtBatchEngine(Source(files, bindings, cache))
    tracker, alone = Tracker(batch), track(engine, drive[:20])
    states, spent, alike, found = (
        {n: tracker.start(camera=n) for n in range(batch.cameras_at_once)},
        0.0,
        0,
        0,
    )
    for i, (frame, reference) in enumerate(zip(drive[:20], alone, strict=True)):
        here = [
            n for n in range(batch.cameras_at_once) if n == 0 or i % (n + 1) == 0
        ]  # the others are slower
        begin = time.perf_counter()
        after = tracker.step_cameras(states, dict.fromkeys(here, frame))
        spent += time.perf_counter() - begin
        states |= {n: state for n, (state, _) in after.items()}
        mine, other = ({(t, label) for t, label, _ in said(x)} for x in (after[0][1], reference))
        alike, found = alike + len(mine & other), found + len(other)
    print(f"\n{batch.cameras_at_once} cameras in {spent / 20 * 1e3:.2f} ms; {alike} of {found} alike")
    assert found > 20 and alike >= 0.95 * found


def said(tracks: Tracks) -> list[tuple[int, int, int]]:
    return [(i.track_id, i.label, i.mask.area) for i in tracks.instances]


def test_every_pass_becomes_a_cuda_graph(engine: TensorRtEngine, drive: list[Frame]) -> None:
    track(engine, drive[:12])
    graphs = max(session.graphs for session in engine._sessions)
    assert graphs >= 4, f"{graphs}, expected 4 to 6: this engine cannot be captured; launches cost more then"


def test_images_that_come_up_early_change_nothing(engine: TensorRtEngine, drive: list[Frame]) -> None:
    frames, reference = drive[:20], track(engine, drive[:20])
    tracker, spent = Tracker(engine), dict[bool, float]()
    ready = [tracker.prepare(frame) for frame in frames]
    for early in (False, True):
        state, begin = tracker.start(), time.perf_counter()
        for n, now in enumerate(ready):
            following, memory = ready[(n + 1) % len(ready)].pixels, state.memory
            engine.meanwhile = partial(engine.stage, following, memory) if early else None
            state, tracks = tracker.step(state, now)
            assert said(tracks) == said(reference[n])
        spent[early] = time.perf_counter() - begin
    engine.meanwhile = None
    in_turn, ahead = (spent[early] / len(ready) * 1e3 for early in (False, True))
    print(f"\nuploads in their turn {in_turn:.2f} ms per frame, ahead {ahead:.2f}")


def test_the_latency_is_printed(engine: TensorRtEngine, drive: list[Frame]) -> None:
    tracker, stopwatch = Tracker(engine), Stopwatch()
    state, times = tracker.start(), []
    for n in range(300):
        state, _ = tracker.step(state, drive[n % len(drive)], stopwatch)
        times.append(stopwatch.timings.network * 1e3)
    p50, p95, p99 = np.percentile(times[50:], (50, 95, 99))
    print(f"\nboth passes: {p50:.2f} ms median, {p95:.2f} p95, {p99:.2f} p99; {engine.facts.engine}")
    assert np.isfinite(times).all()


def test_an_image_of_another_size_is_a_clear_error(
    files: ModelFiles, bindings: Bindings, cache: Path
) -> None:
    engine = TensorRtEngine(Source(files, bindings, cache, build=False))
    with pytest.raises(ValueError, match="image: expected"):
        engine.detect(np.zeros((8, 8, 3), np.uint8), engine.start())


def test_memory_is_flat_over_a_long_drive_with_resets(
    engine: TensorRtEngine, bindings: Bindings, drive: list[Frame]
) -> None:
    tracker = Tracker(engine)
    state, free, held = tracker.start(), 0, None
    for n in range(SOAK):
        if n % 500 == 499:
            state = None  # type: ignore[assignment]
            state = tracker.start()
        state, _ = tracker.step(state, drive[n % len(drive)])
        if n == SOAK // 10:
            free, held = free_memory(bindings), engine.facts.device_memory
    assert engine.facts.device_memory == held
    assert free - free_memory(bindings) < SLACK
