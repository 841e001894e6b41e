"""The pipeline and the diagnostics, without a node."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.scripted_engine import ScriptedEngine, Thing, small_config
from support.squares import export_squares, pixels

from pcan_model.core.config import InputConfig
from pcan_model.core.structures import FrameKind
from pcan_model.inference.errors import EngineLost
from pcan_model.inference.onnx_engine import OnnxEngine
from pcan_model.tracking.pace import Pace
from pcan_model.tracking.tracker import Tracker
from pcan_ros.node.camera import TimeLimits, time_jump
from pcan_ros.node.pipeline import FrameResult, Pipeline

CAR = 2


class Log:
    """Keeps what comes out."""

    def __init__(self) -> None:
        self.results: list[FrameResult] = []
        self.errors: list[str] = []
        self.changed = threading.Condition()

    def on_result(self, result: FrameResult) -> None:
        with self.changed:
            self.results.append(result)
            self.changed.notify()

    def on_bad(self, camera: int, error: Exception) -> None:
        with self.changed:
            self.errors.append(f"{camera}: {error}")
            self.changed.notify()

    def on_failure(self, cameras: tuple[int, ...], error: EngineLost) -> None:
        with self.changed:
            self.errors.append(f"lost: {cameras}: {error}")
            self.changed.notify()

    def wait(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.results) + len(self.errors) >= count, 10)


class Fragile(OnnxEngine):
    """Fails when told to."""

    broken = False
    failure: type[Exception] = RuntimeError

    def detect(self, image: Any, memory: Any) -> Any:
        if self.broken:
            raise self.failure("out of memory")
        return super().detect(image, memory)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Fragile:
    return Fragile(export_squares(tmp_path_factory.mktemp("squares")), 1)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def pipeline(engine: Fragile, log: Log) -> Any:
    pipeline = Pipeline(Tracker(engine), 2, TimeLimits(), log)
    pipeline.start()
    yield pipeline
    pipeline.stop()


def message(stamp: float) -> Any:
    drawn = pixels({CAR: (10, 10)})
    header = SimpleNamespace(stamp=SimpleNamespace(sec=int(stamp), nanosec=round(stamp % 1 * 1e9)))
    return SimpleNamespace(
        header=header, encoding="rgb8", height=64, width=96, step=288, is_bigendian=0, data=drawn.tobytes()
    )


def test_a_failing_engine_loses_its_image_and_resets_the_camera(
    pipeline: Pipeline, engine: Fragile, log: Log
) -> None:
    pipeline.mailbox.put(0, message(1.0), 0.0)
    log.wait(1)
    engine.broken = True
    pipeline.mailbox.put(0, message(1.1), 0.0)
    log.wait(2)
    engine.broken = False
    pipeline.mailbox.put(0, message(1.2), 0.0)
    log.wait(3)
    assert log.errors == ["0: out of memory"]
    assert [r.tracks.frame_index for r in log.results] == [0, 0]


def test_a_lost_engine_stops_the_pipeline_and_is_reported_once(
    pipeline: Pipeline, engine: Fragile, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "broken", True)
    monkeypatch.setattr(engine, "failure", EngineLost)
    pipeline.mailbox.put(0, message(1.0), 0.0)
    log.wait(1)
    monkeypatch.setattr(engine, "broken", False)
    pipeline.mailbox.put(1, message(1.1), 0.0)
    time.sleep(0.1)
    assert log.errors == ["lost: (0,): out of memory"] and not log.results
    pipeline.stop()


class Slow(ScriptedEngine):
    """Takes a tenth of a second for every frame."""

    def detect(self, image: Any, memory: Any) -> Any:
        time.sleep(0.1)
        return super().detect(image, memory)


def test_a_latency_budget_runs_the_network_on_some_images_only(log: Log) -> None:
    config = small_config(motion="kalman", camera_motion=True)
    pipeline = Pipeline(Tracker(Slow([], config)), 1, TimeLimits(), log, budget=0.025)
    pipeline.start()
    for number in range(4):
        pipeline.mailbox.put(0, message(1 + number / 30), 0.0)
        log.wait(number + 1)
    pipeline.tune(config.tracker, TimeLimits())  # without a budget
    for number in (4, 5):
        pipeline.mailbox.put(0, message(1 + number / 30), 0.0)
        log.wait(number + 1)
    pipeline.stop()

    key, propagated = FrameKind
    assert [r.tracks.kind for r in log.results] == [key, *[propagated] * 3, key, key]
    assert log.results[1].pace.interval >= 4 and not log.errors
    assert log.results[0].network > 0.1 > log.results[1].network


def test_a_camera_takes_over_what_another_owes_for_an_early_key_frame(engine: Fragile, log: Log) -> None:
    tracker = Tracker(engine)
    pipeline = Pipeline(tracker, 2, TimeLimits(), log)
    drifting, calm = pipeline._cameras
    drifting.state, drifting.pace = replace(tracker.start(), drifted=True), Pace(0, 6, waited=3, key=0.1)
    calm.pace = Pace(0, 6, waited=1, key=0.1)
    pipeline.start()
    for number, camera in enumerate((0, 1)):
        pipeline.mailbox.put(camera, message(1 + number), 0.0)
        log.wait(number + 1)
    pipeline.stop()

    early, waits = log.results
    assert early.tracks.kind is FrameKind.KEY and waits.pace.delay == 2 and not log.errors


def sized(height: int, width: int, *script: list[Thing]) -> ScriptedEngine:
    """Return an engine with a large input size that finds these objects."""
    config = small_config(motion="kalman", camera_motion=True)
    return ScriptedEngine(list(script), replace(config, input=InputConfig(height=height, width=width)))


def test_the_budget_chooses_the_input_size_and_tracks_survive_its_change(log: Log) -> None:
    small = sized(64, 96, [Thing(1, (10, 10, 30, 30))], [])
    large = sized(128, 192, [], [Thing(1, (20, 20, 60, 60))])
    pipeline = Pipeline(Tracker(small), 1, TimeLimits(), log, budget=10.0, larger=[large])
    camera = pipeline._cameras[0]
    pipeline.start()
    pipeline.mailbox.put(0, message(1.0), 0.0)
    log.wait(1)
    pipeline.stop()
    again = Pipeline(Tracker(small), 1, TimeLimits(), log, budget=10.0, larger=[large])
    camera.sizes = replace(camera.sizes, index=1)
    again._cameras = (camera,)
    again.start()
    again.mailbox.put(0, message(1.1), 0.0)
    log.wait(2)
    again.stop()

    first, second = log.results
    (before,), (after,) = first.tracks.instances, second.tracks.instances
    assert (first.input_size, second.input_size, log.errors) == ("64x96", "128x192", [])
    assert before.uuid == after.uuid and after.box == pytest.approx(before.box, abs=1)


def test_small_steps_back_are_tolerated_and_large_ones_reset(pipeline: Pipeline, log: Log) -> None:
    for number, stamp in enumerate((5.0, 4.8, 5.1, 4.5)):
        pipeline.mailbox.put(0, message(stamp), 0.0)
        log.wait(number + 1)
    assert [r.tracks.frame_index for r in log.results] == [0, 1, 2, 0]
    assert [round(r.jump, 3) for r in log.results] == [0, 0, 0, -0.6]


def test_a_gap_after_a_reset_is_no_time_jump(pipeline: Pipeline, log: Log) -> None:
    for number, stamp in enumerate((5.0, 300.0, 100.0)):
        pipeline.mailbox.put(0, message(stamp), 0.0)
        log.wait(number + 1)
        pipeline.discard()
    assert [r.tracks.frame_index for r in log.results] == [0, 0, 0]
    assert [r.jump for r in log.results] == [0, 0, 0]


@pytest.mark.parametrize(
    ("last", "stamp", "ahead", "jump"),
    [
        (None, 7.0, 10, 0),
        (5.0, 15.0, 10, 0),
        (5.0, 15.5, 10, 10.5),
        (5.0, 5000.0, 0, 0),
        (5.0, 4.5, 10, 0),
        (5.0, 4.0, 10, -1),
    ],
)
def test_only_jumps_beyond_the_limits_count(
    last: float | None, stamp: float, ahead: float, jump: float
) -> None:
    assert time_jump(last, stamp, TimeLimits(0.5, ahead)) == jump


def test_the_newest_image_of_a_burst_is_processed_and_the_others_are_counted(
    pipeline: Pipeline, log: Log
) -> None:
    for number in range(50):
        pipeline.mailbox.put(1, message(1 + number / 10), 0.0)
    while not log.results or log.results[-1].tracks.stamp < 5.9 - 1e-6:
        log.wait(len(log.results) + 1)
    time.sleep(0.05)
    counts = pipeline.mailbox.counts(1)
    assert counts.received == 50 == counts.replaced + len(log.results)


def test_thresholds_take_effect_with_the_next_image(pipeline: Pipeline, engine: Fragile, log: Log) -> None:
    pipeline.tune(replace(engine.config.tracker, init_score=0.99), TimeLimits())
    pipeline.mailbox.put(0, message(1.0), 0.0)
    log.wait(1)
    assert log.results[0].tracks.instances == ()


def test_a_disabled_pipeline_does_not_track_the_waiting_image(engine: Fragile, log: Log) -> None:
    pipeline = Pipeline(Tracker(engine), 1, TimeLimits(), log)
    pipeline.mailbox.put(0, message(1.0), 0.0)
    pipeline.discard()
    pipeline.start()
    time.sleep(0.1)
    pipeline.stop()
    assert not log.results and pipeline.mailbox.counts(0).replaced == 1


def test_the_services_return_the_result_of_their_requests() -> None:
    services = pytest.importorskip("std_srvs.srv")
    from pcan_ros.node.node_services import add_services

    calls, asked, active = dict[str, Any](), list[bool](), [False, True]
    node: Any = SimpleNamespace(create_service=lambda kind, name, call: calls.update({name: call}))
    add_services(node, reset=lambda: active.pop(0), enable=asked.append, save=lambda: Path("file.yaml"))
    replies = [calls["~/reset"](services.Trigger.Request(), services.Trigger.Response()) for _ in range(2)]
    assert [reply.success for reply in replies] == [False, True]
    for wanted in (False, True):
        request = services.SetBool.Request(data=wanted)
        assert calls["~/enable"](request, services.SetBool.Response()).success
    assert asked == [False, True]


def test_a_stopped_pipeline_takes_nothing(engine: Fragile, log: Log) -> None:
    pipeline = Pipeline(Tracker(engine), 1, TimeLimits(), log)
    pipeline.start()
    pipeline.stop()
    pipeline.mailbox.put(0, message(1.0), 0.0)
    time.sleep(0.05)
    assert not log.results
