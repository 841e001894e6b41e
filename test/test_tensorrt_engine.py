"""The TensorRT engine's own code over a stand-in for TensorRT and CUDA: results and bookkeeping."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fake_cudart import FakeCudart, cudaError_t
from support.fake_tensorrt import FakeTensorRt
from support.moving import moving_blocks, track
from support.squares import picture
from support.telltale import export_telltale

from pcan_model.engine import Engine
from pcan_model.structures import Slots
from pcan_ros.runtime.engine_facts import EngineLost
from pcan_ros.runtime.model_files import ModelError, ModelFiles
from pcan_ros.runtime.onnx_engine import OnnxEngine
from pcan_ros.tensorrt.bindings import Bindings
from pcan_ros.tensorrt.tensorrt_engine import TensorRtEngine

ROWS, TRACKS = 4, 8  # of the stand-in networks


@dataclass
class Bench:
    """A stand-in device with its TensorRT."""

    cache: Path
    cudart: FakeCudart = field(default_factory=FakeCudart)
    rtx: bool = False
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.trt = FakeTensorRt(self.cudart, rtx=self.rtx)

    def engine(self, folder: Path) -> TensorRtEngine:
        bindings = Bindings("tensorrt_rtx" if self.rtx else "tensorrt", self.trt, self.cudart)
        return TensorRtEngine(ModelFiles(folder), bindings, self.cache, say=self.said.append)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "engines")


@pytest.fixture(scope="module")
def telltale(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_telltale(tmp_path_factory.mktemp("telltale"))


class Drive:
    """Looks through one camera with random pictures and random slots; the same for a seed."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self._engine, self._random = engine, np.random.default_rng(seed)
        self.memory: Any = engine.start()

    def look(self) -> list[np.ndarray]:
        """Process one frame and return all that comes out of it."""
        random = self._random
        if random.random() < 0.02:
            self.memory = None
            self.memory = self._engine.start()
        squares = {label: (int(random.integers(70)), 10 + 12 * i) for i, label in enumerate((2, 7))}
        image = picture(squares if random.random() < 0.8 else {})
        image[-4:] = random.integers(256)
        found, features = self._engine.detect(image, self.memory)
        slots = Slots(
            random.integers(TRACKS, size=ROWS),
            random.integers(2, size=ROWS).astype(np.float32),
            random.integers(ROWS, size=TRACKS),
            random.integers(2, size=TRACKS).astype(np.float32),
        )
        remember = bool(random.random() < 0.7)
        logits, self.memory = self._engine.segment(features, slots, self.memory, remember=remember)
        masks = logits[: len(found)] if len(found) else logits[:0]
        return [found.boxes, found.scores, found.labels, found.embeds, masks]


def nothing() -> Slots:
    return Slots(
        np.zeros(ROWS, np.int64), np.ones(ROWS, np.float32), np.zeros(TRACKS, np.int64),
        np.zeros(TRACKS, np.float32),
    )  # fmt: skip


def step(engine: Engine, memory: Any, image: np.ndarray | None = None) -> Any:
    """Process a picture with one car and return the next memory."""
    _, features = engine.detect(picture({2: (5, 10)}) if image is None else image, memory)
    return engine.segment(features, nothing(), memory, remember=True)[1]


def same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("rtx", [False, True])
def test_three_cameras_over_hundreds_of_frames_get_what_onnx_runtime_gives(
    telltale: Path, tmp_path: Path, rtx: bool
) -> None:
    bench = Bench(tmp_path, rtx=rtx)
    ours, theirs = bench.engine(telltale), OnnxEngine(telltale, 1)
    cameras = [(Drive(ours, seed), Drive(theirs, seed)) for seed in range(3)]
    told = set()
    for _ in range(150):
        for mine, reference in cameras:
            a, b = mine.look(), reference.look()
            same(a, b)
            told.add(float(a[-1].sum()))
    assert len(told) > 200, "masks never changed: this would show nothing of the bank"
    assert "12 CUDA graphs" in ours.facts.engine
    assert bench.trt.launched_alone == 12, "each camera's two passes of two parities, once each"


def test_a_real_network_tracks_as_with_onnx_runtime(exported: Path, bench: Bench) -> None:
    frames = moving_blocks(40)
    ours, theirs = track(bench.engine(exported), frames), track(OnnxEngine(exported, 1), frames)
    assert sum(len(tracks.found()) for tracks in ours) > 100
    for a, b in zip(ours, theirs, strict=True):
        assert [(i.track_id, i.state, i.score) for i in a.instances] == [
            (i.track_id, i.state, i.score) for i in b.instances
        ]
        for x, y in zip(a.instances, b.instances, strict=True):
            np.testing.assert_array_equal(x.box, y.box)
            np.testing.assert_array_equal(x.mask.crop, y.mask.crop)


def test_once_warm_a_frame_is_two_graph_launches_and_no_allocation(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    memory = engine.start()
    for _ in range(4):
        memory = step(engine, memory)
    bench.cudart.calls.clear()
    for _ in range(10):
        memory = step(engine, memory)
    assert dict(bench.cudart.calls) == {"cudaGraphLaunch": 20, "cudaStreamSynchronize": 20}


def test_an_engine_that_cannot_be_captured_runs_without_graphs(telltale: Path, bench: Bench) -> None:
    bench.trt.refuses.add("capture")
    ours, theirs = Drive(bench.engine(telltale), 5), Drive(OnnxEngine(telltale, 1), 5)
    for _ in range(30):
        same(ours.look(), theirs.look())
    assert bench.cudart.calls["cudaGraphLaunch"] == 0


def test_rtx_is_asked_whether_it_can_be_captured(telltale: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path, rtx=True)
    bench.trt.refuses.add("capture")
    drive = Drive(bench.engine(telltale), 5)
    for _ in range(10):
        drive.look()
    assert bench.cudart.calls["cudaStreamBeginCapture"] == 0


def test_a_reset_camera_uses_its_own_buffers_again(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    memory = engine.start()
    first = engine.detect(picture({2: (5, 10)}), memory)[0]
    for _ in range(3):
        memory = step(engine, memory)
    changed = engine.detect(picture({2: (5, 10)}), memory)[0]
    held = engine.facts.device_memory
    memory = None
    memory = engine.start()
    again = engine.detect(picture({2: (5, 10)}), memory)[0]
    assert engine.facts.device_memory == held
    np.testing.assert_array_equal(again.embeds, first.embeds)
    assert bench.cudart.calls["cudaStreamCreateWithFlags"] == 1
    assert changed.embeds[0, 0] != first.embeds[0, 0], "the memory never showed"


def test_a_second_camera_has_buffers_of_its_own(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    one = engine.start()
    alone = engine.facts.device_memory
    two = engine.start()
    assert one.lease.session is not two.lease.session
    assert engine.facts.device_memory is not None and alone is not None
    assert engine.facts.device_memory > alone


def test_only_the_newest_memory_is_on_the_device(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    old = engine.start()
    new = step(engine, old)
    with pytest.raises(ValueError, match="earlier memories are gone"):
        engine.detect(picture({}), old)
    _, features = engine.detect(picture({}), new)
    newer = engine.segment(features, nothing(), new, remember=True)[1]
    with pytest.raises(ValueError, match="features: expected those of this camera's last picture"):
        engine.segment(features, nothing(), newer, remember=True)


def test_looking_twice_with_one_memory_gives_the_same(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    memory = step(engine, step(engine, engine.start()))
    a, _ = engine.detect(picture({2: (5, 10)}), memory)
    b, _ = engine.detect(picture({2: (5, 10)}), memory)
    np.testing.assert_array_equal(a.embeds, b.embeds)


def test_a_picture_of_another_size_is_refused_and_harms_nothing(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    memory = engine.start()
    with pytest.raises(ValueError, match=r"image: expected \(64, 96, 3\) uint8, got \(64, 64, 3\)"):
        engine.detect(np.zeros((64, 64, 3), np.uint8), memory)
    step(engine, memory)


@pytest.mark.parametrize("memory", [100_000, 60_000, 30_000])
def test_too_little_device_memory_is_said_and_given_back(telltale: Path, tmp_path: Path, memory: int) -> None:
    bench = Bench(tmp_path, FakeCudart(memory=memory))
    engine = bench.engine(telltale)
    with pytest.raises(EngineLost, match=r"CUDA: cudaMalloc for .* MiB: cudaErrorMemoryAllocation"):
        for _ in range(20):
            engine.start().lease.session.never_given_back = engine  # type: ignore[attr-defined]
            engine._free.clear()
    live = len(engine._sessions)
    assert len(bench.cudart.streams) == live, "the half-made camera left something behind"


def fail_execution(bench: Bench) -> None:
    bench.trt.refuses.add("execute")


def fail_upload(bench: Bench) -> None:
    bench.cudart.fails["cudaMemcpyAsync"] = (cudaError_t.cudaErrorInvalidValue, 0)


def lose_context(bench: Bench) -> None:
    bench.cudart.lost = cudaError_t.cudaErrorIllegalAddress


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (fail_execution, "frame: not executed: Cask convolution execution"),
        (fail_upload, "CUDA: cudaMemcpyAsync: cudaErrorInvalidValue"),
        (lose_context, "CUDA: .*: cudaErrorIllegalAddress"),
    ],
)
def test_a_failing_device_loses_the_engine_for_good(
    telltale: Path, bench: Bench, break_it: Callable[[Bench], None], said: str
) -> None:
    engine = bench.engine(telltale)
    memory = engine.start()
    break_it(bench)
    with pytest.raises(EngineLost, match=said):
        engine.detect(picture({}), memory)
    bench.trt.refuses.clear()
    bench.cudart.fails.clear()
    for again in (engine.start, lambda: engine.detect(picture({}), memory)):
        with pytest.raises(EngineLost, match="configure the node anew"):
            again()


def test_memory_freed_under_a_captured_graph_loses_the_engine(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    memory = engine.start()
    for _ in range(4):
        memory = step(engine, memory)
    bench.cudart.device.clear()
    with pytest.raises(EngineLost, match="cudaErrorIllegalAddress"):
        step(engine, memory)


def test_no_memory_for_a_context_is_said(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    bench.trt.refuses.add("context")
    with pytest.raises(EngineLost, match="no execution context of the frame engine: OutOfMemory"):
        engine.start()
    assert not bench.cudart.device and not bench.cudart.pinned and not bench.cudart.streams


def test_numbers_that_are_none_are_no_detections(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    memory = engine.start()
    run = engine._frame._engine.session.run  # type: ignore[attr-defined]

    def broken(names: list[str], values: dict[str, np.ndarray]) -> list[np.ndarray]:
        out = dict(zip(names, run(names, values), strict=True))
        return list((out | {"scores": np.full_like(out["scores"], np.nan)}).values())

    engine._frame._engine.session = type("Session", (), {"run": staticmethod(broken)})()
    with pytest.raises(ArithmeticError, match="network: scores: expected finite numbers"):
        engine.detect(picture({}), memory)


def test_all_is_given_back_when_nobody_needs_the_engine(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    memories = [engine.start() for _ in range(2)]
    for _ in range(4):
        memories = [step(engine, memory) for memory in memories]
    assert bench.cudart.graphs and bench.cudart.device
    del engine, memories
    gc.collect()
    left = bench.cudart
    assert not (left.device or left.pinned or left.streams or left.graphs)


def test_without_a_device_the_engine_says_so(telltale: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path, FakeCudart(devices=0))
    with pytest.raises(ModelError, match=r"TensorRT 10\.3\.0 is installed, but there is no CUDA device"):
        bench.engine(telltale)


def test_facts_name_version_device_precision_and_memory(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    before = engine.facts
    engine.start()
    assert before.engine == "TensorRT 10.3.0, Pretender (compute capability 8.6), 0 CUDA graphs"
    assert (before.backend, before.precision) == ("tensorrt", "fp32")
    assert (engine.facts.device_memory or 0) - (before.device_memory or 0) >= 2 * 2**20, "two contexts"


def test_the_stand_in_refuses_what_tensorrt_refuses(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    engine.start()
    plan, cudart = engine._instance, bench.cudart
    context, (stream, *_) = plan.context(), cudart.streams
    names = list(context._engine.nodes)
    assert not context.set_tensor_address("no such", 1)
    assert not context.execute_async_v3(stream) and "no such" in plan.reason()
    addresses = {name: cudart.cudaMalloc(plan.bytes(name))[1] for name in names}
    for name, address in addresses.items():
        assert context.set_tensor_address(name, address)
    assert context.execute_async_v3(stream)
    cudart.cudaFree(addresses["bank"])
    assert cudart.cudaStreamSynchronize(stream)[0] == cudaError_t.cudaErrorIllegalAddress
    cudart.lost = None
    assert not context.execute_async_v3(stream) and "bank is not device memory" in plan.reason()
    small = cudart.cudaMalloc(plan.bytes("bank") - 1)[1]
    context.set_tensor_address("bank", small)
    assert not context.execute_async_v3(stream), "too small"
    host = cudart.cudaHostAlloc(plan.bytes("bank"), 0)[1]
    context.set_tensor_address("bank", host)
    assert not context.execute_async_v3(stream), "not on the device"
    context.set_tensor_address("bank", addresses["bank_next"])
    assert context.execute_async_v3(stream)
    with pytest.raises(AssertionError, match="lies over"):
        cudart.cudaStreamSynchronize(stream)
