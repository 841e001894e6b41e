"""The next image comes up while the device works on this one, and nothing gets into the wrong order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.bench import Bench, Drive, same, step
from support.fake_cudart import cudaError_t
from support.squares import export_squares, pixels
from support.telltale import export_telltale

from pcan_model.inference.errors import EngineLost
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.inference.tensorrt.cuda import Cuda
from pcan_model.inference.tensorrt.engine import TensorRtEngine
from pcan_model.inference.tensorrt.image_buffers import ImageBuffers
from pcan_model.tracking.tracker import Tracker
from pcan_ros.node.camera import TimeLimits
from pcan_ros.node.pipeline import FrameResult, Pipeline

CAR, PERSON = 2, 0


@pytest.fixture(scope="module")
def telltale(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_telltale(tmp_path_factory.mktemp("telltale"))


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


def test_only_an_engine_on_a_device_lets_the_host_work_meanwhile(telltale: Path, bench: Bench) -> None:
    for engine, passes in ((bench.engine(telltale), 2), (OnnxEngine(telltale, 1), 0)):
        calls = list[int]()
        engine.meanwhile = lambda calls=calls: calls.append(1)
        step(engine, engine.start())
        assert len(calls) == passes


def test_images_that_come_up_early_change_no_result(telltale: Path, bench: Bench) -> None:
    ours = bench.engine(telltale)
    random = np.random.default_rng(7)
    cameras = [(Drive(ours, seed), Drive(OnnxEngine(telltale, 1), seed)) for seed in range(2)]
    staged = 0

    def look_ahead() -> None:
        nonlocal staged
        for mine, _ in cameras:
            if mine.memory is not None and random.random() < 0.4:
                staged += 1
                replaced = np.full_like(mine.following, random.integers(256))
                for image in (replaced, mine.following)[random.integers(2) :]:
                    ours.stage(image, mine.memory)

    ours.meanwhile = look_ahead
    for _ in range(200):
        for mine, reference in cameras:
            same(mine.look(), reference.look())
    assert staged > 200


def test_the_upload_is_under_way_before_the_pass_at_work_is_waited_for(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    memory = engine.start()
    for _ in range(6):
        memory = step(engine, memory)
    image, busy = pixels({CAR: (40, 10)}), list[int]()

    def look_ahead() -> None:
        engine.stage(image, memory)
        busy.append(sum(bool(stream.work) for stream in bench.cudart.streams.values()))

    engine.meanwhile = look_ahead
    memory = step(engine, memory)
    assert busy == [2, 2], "in both passes: one stream executes while the other copies"
    engine.meanwhile = None
    bench.cudart.calls.clear()
    step(engine, memory, image)
    assert bench.cudart.calls["cudaMemcpyAsync"] == 0, "it was there already"


def forget_to_wait(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Cuda, "follow", lambda *_: None)


def copy_over_what_is_read(patch: pytest.MonkeyPatch) -> None:
    take = ImageBuffers.take

    def take_and_stay(self: ImageBuffers, *arguments: Any) -> int:
        self._next = take(self, *arguments)
        return self._next

    patch.setattr(ImageBuffers, "take", take_and_stay)


def rewrite_what_is_copied(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Cuda, "await_event", lambda *_: None)


@pytest.mark.parametrize("mistake", [forget_to_wait, copy_over_what_is_read, rewrite_what_is_copied])
def test_the_stand_in_refuses_work_that_no_event_orders(
    telltale: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch, mistake: Callable[..., None]
) -> None:
    engine = bench.engine(telltale)
    memory = engine.start()
    image = pixels({CAR: (40, 10)})

    def stage_twice() -> None:
        for each in (image.copy(), image):
            engine.stage(each, memory)

    engine.meanwhile = stage_twice
    for _ in range(5):
        memory = step(engine, memory, image)
    mistake(monkeypatch)
    with pytest.raises(AssertionError, match=r"race: .* does not wait for the"):
        for _ in range(2):
            memory = step(engine, memory, image)


def test_a_failing_upload_ahead_loses_the_engine(telltale: Path, bench: Bench) -> None:
    engine = bench.engine(telltale)
    memory = engine.start()
    engine.meanwhile = lambda: engine.stage(pixels({}), memory)
    bench.cudart.fails["cudaEventRecord"] = (cudaError_t.cudaErrorIllegalAddress, 1)
    with pytest.raises(EngineLost, match="CUDA: cudaEventRecord: cudaErrorIllegalAddress"):
        step(engine, memory)
    with pytest.raises(EngineLost, match="configure the node anew"):
        engine.stage(pixels({}), memory)


class Gate:
    """A sink that lets a test put new images in while the device is at work on one."""

    def __init__(self, engine: TensorRtEngine) -> None:
        self.results: list[FrameResult] = []
        self.errors: list[str] = []
        self.changed = threading.Condition()
        self.at_work: Callable[[], None] = lambda: None
        self._engine, self._stage = engine, engine.stage
        self.staged: list[np.ndarray] = []
        engine.stage = self.stage  # type: ignore[method-assign]

    def stage(self, image: np.ndarray, memory: Any) -> None:
        self.staged.append(image)
        self._stage(image, memory)

    def on_result(self, result: FrameResult) -> None:
        with self.changed:
            self.results.append(result)
            self.changed.notify()

    def on_bad(self, camera: int, error: Exception) -> None:
        self.errors.append(f"{camera}: {error}")

    def on_failure(self, cameras: tuple[int, ...], error: EngineLost) -> None:
        self.errors.append(f"lost: {error}")

    def wait(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.results) >= count, 10), self.errors


def message(stamp: float, x: int, *, encoding: str = "rgb8") -> Any:
    drawn = pixels({CAR: (x, 10)})
    header = SimpleNamespace(stamp=SimpleNamespace(sec=int(stamp), nanosec=round(stamp % 1 * 1e9)))
    return SimpleNamespace(
        header=header, encoding=encoding, height=64, width=96, step=288, is_bigendian=0, data=drawn.tobytes()
    )


@pytest.fixture
def gate(squares: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a running pipeline and its sink; `at_work` is called in each pass, before the look ahead."""
    engine = bench.engine(squares)
    gate = Gate(engine)
    pipeline = Pipeline(Tracker(engine), 2, TimeLimits(), gate)
    look_ahead = pipeline._look_ahead

    def passes() -> None:
        work, gate.at_work = gate.at_work, lambda: None
        work()
        look_ahead()

    monkeypatch.setattr(pipeline, "_look_ahead", passes)
    pipeline.start()
    pipeline.mailbox.put(0, message(1.0, 5), 0.0)
    gate.wait(1)
    yield pipeline, gate
    pipeline.stop()
    assert engine.meanwhile is None


def test_the_node_prepares_the_next_image_while_the_device_works(gate: Any) -> None:
    pipeline, sink = gate
    sink.at_work = lambda: pipeline.mailbox.put(0, message(1.2, 9), 0.0)
    pipeline.mailbox.put(0, message(1.1, 7), 0.0)
    sink.wait(3)
    assert len(sink.staged) == 1, "once, though both passes look ahead"
    assert sink.staged[0] is sink.results[2].image
    assert [r.tracks.found()[0].box[0] for r in sink.results] == [5, 7, 9]
    assert [i.track_id for r in sink.results for i in r.tracks.found()] == [1, 1, 1]


def test_a_newer_image_replaces_one_that_was_prepared(gate: Any) -> None:
    pipeline, sink = gate

    def put_and_replace() -> None:
        pipeline.mailbox.put(0, message(1.2, 9), 0.0)
        sink.at_work = lambda: pipeline.mailbox.put(0, message(1.3, 11), 0.0)

    sink.at_work = put_and_replace
    pipeline.mailbox.put(0, message(1.1, 7), 0.0)
    sink.wait(3)
    assert len(sink.staged) == 2
    assert [r.tracks.found()[0].box[0] for r in sink.results] == [5, 7, 11]
    assert pipeline.mailbox.counts(0).replaced == 1


def test_a_bad_image_that_waits_does_no_harm_to_the_one_at_work(gate: Any) -> None:
    pipeline, sink = gate
    sink.at_work = lambda: pipeline.mailbox.put(1, message(1.2, 9, encoding="32FC1"), 0.0)
    pipeline.mailbox.put(0, message(1.1, 7), 0.0)
    sink.wait(2)
    assert sink.results[1].tracks.found()[0].box[0] == 7
    pipeline.mailbox.put(0, message(1.3, 9), 0.0)
    sink.wait(3)
    assert len(sink.errors) == 1 and sink.errors[0].startswith("1: encoding: expected")


def test_the_other_cameras_image_is_prepared_for_its_own_turn(gate: Any) -> None:
    pipeline, sink = gate
    sink.at_work = lambda: pipeline.mailbox.put(1, message(1.2, 30), 0.0)
    pipeline.mailbox.put(0, message(1.1, 7), 0.0)
    sink.wait(3)
    assert [r.camera for r in sink.results] == [0, 0, 1]
    assert sink.results[2].tracks.found()[0].box[0] == 30
    assert sink.staged == [], "its camera has no place on the device before its first image"
