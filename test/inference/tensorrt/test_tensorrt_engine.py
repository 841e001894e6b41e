"""The TensorRT engine's own code over a stand-in for TensorRT and CUDA: results and bookkeeping."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.bench import Bench, Drive, nothing, same, step
from support.fake_cudart import FakeCudart, cudaError_t
from support.moving import moving_blocks, track
from support.squares import pixels
from support.telltale import export_telltale

from pcan_model.inference.errors import EngineLost, ModelError
from pcan_model.inference.onnx_engine import OnnxEngine


@pytest.fixture(scope="module")
def telltale(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_telltale(tmp_path_factory.mktemp("telltale"))


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
    assert "18 CUDA graphs" in ours.facts.engine
    assert bench.trt.launched_alone == 18, "four frame and two instance variants of each camera, once each"


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
    passes = {"cudaGraphLaunch": 20, "cudaStreamSynchronize": 20}
    images = ("cudaEventSynchronize", "cudaMemcpyAsync", "cudaEventRecord", "cudaStreamWaitEvent")
    assert dict(bench.cudart.calls) == passes | dict.fromkeys(images, 10)


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


def test_rtx_keeps_the_kernels_of_its_first_frame_for_the_next_start(telltale: Path, tmp_path: Path) -> None:
    for start in range(2):
        bench = Bench(tmp_path, rtx=True)
        step(engine := bench.engine(telltale), engine.start())
        assert len(list(tmp_path.glob("kernels-*.cache"))) == 2, "of the frame and of the instance engine"
        assert bench.trt.runtime_caches == [b"kernels"] * 2 * start


def test_a_reset_camera_uses_its_own_buffers_again(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    memory = engine.start()
    first = engine.detect(pixels({2: (5, 10)}), memory)[0]
    for _ in range(3):
        memory = step(engine, memory)
    changed = engine.detect(pixels({2: (5, 10)}), memory)[0]
    held = engine.facts.device_memory
    memory = None
    memory = engine.start()
    again = engine.detect(pixels({2: (5, 10)}), memory)[0]
    assert engine.facts.device_memory == held
    np.testing.assert_array_equal(again.embeds, first.embeds)
    assert bench.cudart.calls["cudaStreamCreateWithFlags"] == 2, "one for images, one for passes"
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
        engine.detect(pixels({}), old)
    _, features = engine.detect(pixels({}), new)
    newer = engine.segment(features, nothing(), new, remember=True)[1]
    with pytest.raises(ValueError, match="features: expected those of this camera's last image"):
        engine.segment(features, nothing(), newer, remember=True)


def test_looking_twice_with_one_memory_gives_the_same(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    memory = step(engine, step(engine, engine.start()))
    a, _ = engine.detect(pixels({2: (5, 10)}), memory)
    b, _ = engine.detect(pixels({2: (5, 10)}), memory)
    np.testing.assert_array_equal(a.embeds, b.embeds)


def test_an_image_of_another_size_is_refused_and_harms_nothing(telltale: Path, bench: Bench) -> None:
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
    assert len(bench.cudart.streams) == 2 * live, "the half-made camera left something behind"
    assert len(bench.cudart.events) == 3 * live


def fail_execution(bench: Bench) -> None:
    bench.trt.refuses.add("execute")


def fail_upload(bench: Bench) -> None:
    bench.cudart.fails["cudaMemcpyAsync"] = (cudaError_t.cudaErrorInvalidValue, 0)


def lose_context(bench: Bench) -> None:
    bench.cudart.lost = cudaError_t.cudaErrorIllegalAddress


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (fail_execution, "frame: not executed: Cask convolution execution"),
        (fail_upload, "CUDA: cudaMemcpyAsync: cudaErrorInvalidValue"),
        (lose_context, "CUDA: .*: cudaErrorIllegalAddress"),
    ],
)
def test_a_failing_device_loses_the_engine_for_good(
    telltale: Path, bench: Bench, break_it: Callable[[Bench], None], message: str
) -> None:
    engine = bench.engine(telltale)
    memory = engine.start()
    break_it(bench)
    with pytest.raises(EngineLost, match=message):
        engine.detect(pixels({}), memory)
    bench.trt.refuses.clear()
    bench.cudart.fails.clear()
    for again in (engine.start, lambda: engine.detect(pixels({}), memory)):
        with pytest.raises(EngineLost, match="configure the node anew"):
            again()


def test_memory_freed_under_a_captured_graph_loses_the_engine(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    memory = engine.start()
    for _ in range(4):
        memory = step(engine, memory)
    images = memory.lease.session._images.addresses  # a copy to these would be refused at once
    for address in set(bench.cudart.device) - set(images):
        del bench.cudart.device[address]
    with pytest.raises(EngineLost, match="cudaErrorIllegalAddress"):
        step(engine, memory)


def test_no_memory_for_a_context_is_said(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    bench.trt.refuses.add("context")
    with pytest.raises(EngineLost, match="no execution context of the frame engine: OutOfMemory"):
        engine.start()
    left = bench.cudart
    assert not (left.device or left.pinned or left.streams or left.events)


@pytest.mark.parametrize("output", ["boxes", "scores", "refined"])
def test_numbers_that_are_none_are_no_objects_and_a_reset_forgets_them(
    telltale: Path, bench: Bench, output: str
) -> None:
    engine = bench.engine(telltale)
    memory = step(engine, engine.start())
    clean = engine.detect(pixels({2: (5, 10)}), engine.start())[0]
    bench.trt.spoils |= {output, "mem_k_next", "bank_next"}
    with pytest.raises(ArithmeticError, match=f"network: {output}: expected .*numbers, got .*nan"):
        step(engine, memory)
    bench.trt.spoils.clear()
    memory = None
    memory = engine.start()
    again, features = engine.detect(pixels({2: (5, 10)}), memory)
    np.testing.assert_array_equal(again.embeds, clean.embeds)
    assert np.isfinite(engine.segment(features, nothing(), memory, remember=True)[0]).all()


def test_all_is_given_back_when_nobody_needs_the_engine(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    memories = [engine.start() for _ in range(2)]
    for _ in range(4):
        memories = [step(engine, memory) for memory in memories]
    assert bench.cudart.graphs and bench.cudart.device
    del engine, memories
    gc.collect()
    left = bench.cudart
    assert not (left.device or left.pinned or left.streams or left.graphs or left.events)


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
    plan, cudart = engine._pair.instance, bench.cudart
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
