"""The node on (a stand-in of) TensorRT: it tracks, tells what runs, and gives up when the device fails."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from pcan_ros.msg import TrackedInstanceArray
from sensor_msgs.msg import Image
from support.batched import export_batched
from support.domains import new_domain
from support.robot import PATIENCE, image, robot
from support.squares import export_squares, pixels

from pcan_ros.client.process import NodeProcess

CAR = 2
CUDART = """
import os
from pathlib import Path
from support.fake_cudart import FakeCudart, cudaError_t

def fault():
    path = Path(os.environ["PCAN_TEST_FAULT"])
    return path.read_text() if path.exists() else ""

class Fails(dict):
    def get(self, name, default):
        call, _, error = fault().partition(" ")
        return (cudaError_t[error], 0) if call == name else default

device = FakeCudart()
device.fails = Fails()

def __getattr__(name):
    return getattr(device, name)
"""
TENSORRT = """
import os
from cuda.bindings.runtime import device, fault
from support.fake_tensorrt import FakeTensorRt

class Spoils(set):
    def __contains__(self, name):
        return fault() == f"spoil {name}"

module = FakeTensorRt(device)
module.spoils = Spoils()
if fault() == "slow build":
    module.inner_pause = 60.0  # no step in all this time
if fault() == "crash":
    module.Builder = lambda logger: os.kill(os.getpid(), 9)

def __getattr__(name):
    return getattr(module, name)
"""


@pytest.fixture
def fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the stand-ins where the node imports them; what is written to the returned file goes wrong."""
    modules = tmp_path / "modules"
    (modules / "cuda" / "bindings").mkdir(parents=True)
    (modules / "cuda" / "bindings" / "__init__.py").touch()
    (modules / "cuda" / "bindings" / "runtime.py").write_text(CUDART)
    (modules / "tensorrt.py").write_text(TENSORRT)
    paths = (modules, Path(__file__).parents[2], os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
    monkeypatch.setenv("PCAN_TEST_FAULT", str(tmp_path / "fault"))
    return tmp_path / "fault"


@pytest.fixture
def given(tmp_path: Path) -> dict[str, object]:
    """Return the parameters of a node on TensorRT."""
    return {"backend": "tensorrt", "engine_cache": str(tmp_path / "engines"), "status_period": 0.2}


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    return export_squares(tmp_path / "squares")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_long_build_and_the_node(
    fault: Path, squares: Path, given: dict[str, object], number: int
) -> None:
    fault.write_text("slow build")
    parameters = given | {"model": str(squares)}
    with NodeProcess(parameters, {"ROS_DOMAIN_ID": str(new_domain())}) as process:
        end = time.monotonic() + PATIENCE
        while "building it" not in process.log() and time.monotonic() < end and process.alive():
            time.sleep(0.05)
        time.sleep(1.0)  # the subprocess starts
        os.kill(process.pid, number)
        code, log = process.wait(PATIENCE), process.log()
    assert code == 0 and "building it" in log, log
    assert not re.search("ERROR|Traceback|FATAL", log), log
    assert not list(Path(str(given["engine_cache"])).glob("*/*.plan"))


def test_it_tracks_and_a_failing_device_makes_it_inactive(
    fault: Path, squares: Path, given: dict[str, object]
) -> None:
    with robot(squares, **given | {"backend": "auto"}) as r:
        assert "the frame engine is not in the cache: building it" in r.process.log(), r.process.log()
        assert "Building: 50 % done" in r.process.log()
        assert "tensorrt, the fastest that works here" in r.process.log()
        reports = r.collect(DiagnosticArray, "/diagnostics")
        replies = [r.track(image(pixels({CAR: (5 + n, 10)}), 1 + n / 10)) for n in range(6)]
        assert [i.track_id for reply in replies for i in reply.instances] == [1] * 6

        def reported() -> dict[str, str]:
            return {v.key: v.value for v in reports[-1].status[0].values} if reports else {}

        latency = "network latency p50 / p95"
        r.until(lambda: reported().get(latency, "-") != "-", "reported")
        values = reported()
        assert (values["backend"], values["precision"]) == ("tensorrt", "fp32")
        assert "TensorRT 10.3.0, Pretender" in values["engine"] and "MiB" in values["device memory"]
        assert values[latency].endswith(" ms")

        fault.write_text("cudaStreamSynchronize cudaErrorIllegalAddress")
        r.client.send(image(pixels({CAR: (20, 10)}), 3.0))
        r.until(lambda: r.state() == "inactive", "inactive")
        assert "the engine is lost, the node becomes inactive: CUDA: cudaStreamSynchronize" in r.process.log()
        r.until(lambda: "the engine is lost" in reports[-1].status[0].message, "reported")
        assert reports[-1].status[0].level == b"\2"
        assert not r.change_state(Transition.TRANSITION_ACTIVATE), "not on a lost engine"

        fault.unlink()
        assert r.change_state(Transition.TRANSITION_CLEANUP)
        assert r.change_state(Transition.TRANSITION_CONFIGURE)
        assert r.change_state(Transition.TRANSITION_ACTIVATE)
        assert len(r.track(image(pixels({CAR: (5, 10)}), 4.0)).instances) == 1
        assert r.process.log().count("building it") == 2, "frame and instance, once each"


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("cudaMemcpyAsync cudaErrorInvalidValue", "CUDA: cudaMemcpyAsync: cudaErrorInvalidValue"),
        ("cudaMalloc cudaErrorMemoryAllocation", "CUDA: cudaMalloc for .* MiB: cudaErrorMemoryAllocation"),
    ],
)
def test_no_memory_and_a_failed_copy_make_it_inactive_without_an_answer(
    fault: Path, squares: Path, given: dict[str, object], what: str, message: str
) -> None:
    with robot(squares, **given, cameras=["/left/image", "/right/image"]) as r:
        r.track(image(pixels({CAR: (5, 10)}), 1.0, frame="left"))
        right = r.client.node.create_publisher(Image, "/right/image", 1)
        r.until(right.get_subscription_count, "listening to the right camera")
        fault.write_text(what)
        replies = r.collect(TrackedInstanceArray, "/pcan_tracker/camera1/tracks")
        right.publish(image(pixels({CAR: (5, 10)}), 1.1, frame="right"))
        r.until(lambda: r.state() == "inactive", "inactive")
        assert re.search(f"the engine is lost, the node becomes inactive: {message}", r.process.log())
        assert not replies and "Traceback" not in r.process.log()


def test_without_memory_at_the_start_it_ends_with_the_reason_or_takes_another_backend(
    fault: Path, squares: Path, given: dict[str, object]
) -> None:
    fault.write_text("cudaMalloc cudaErrorMemoryAllocation")
    with robot(squares, connect=False, **given) as r:
        assert r.process.wait(30) == 1
        assert "on_configure: CUDA: cudaMalloc for" in r.process.log()
        assert "Traceback" not in r.process.log()
    with robot(squares, **given | {"backend": "auto"}) as r:
        assert len(r.track(image(pixels({CAR: (5, 10)}), 1.0)).instances) == 1
        assert "onnxruntime, because CUDA: cudaMalloc for" in r.process.log()


@pytest.mark.parametrize("output", ["scores", "refined"])
def test_numbers_that_are_none_are_never_published_and_the_camera_starts_anew(
    fault: Path, squares: Path, given: dict[str, object], output: str
) -> None:
    with robot(squares, **given) as r:
        assert r.track(image(pixels({CAR: (5, 10)}), 1.0)).frame_index == 0
        fault.write_text(f"spoil {output}")
        assert r.client.exchange(image(pixels({CAR: (6, 10)}), 1.1), 1.0) is None
        r.until(lambda: f"network: {output}: expected" in r.process.log(), "message")
        fault.unlink()
        assert r.track(image(pixels({CAR: (7, 10)}), 1.2)).frame_index == 0


def test_two_cameras_are_served_in_one_launch_or_in_turn(
    fault: Path, tmp_path: Path, given: dict[str, object]
) -> None:
    model, topics = export_batched(tmp_path / "batched", 2), ["/left/image", "/right/image"]
    with robot(model, **given, cameras=topics) as r:
        assert "tensorrt, 2 cameras in one launch" in r.process.log(), r.process.log()
        right = r.client.node.create_publisher(Image, "/right/image", 1)
        r.until(right.get_subscription_count, "listening to the right camera")
        replies = r.collect(TrackedInstanceArray, "/pcan_tracker/camera1/tracks")
        reports = r.collect(DiagnosticArray, "/diagnostics")
        for n in range(6):
            right.publish(image(pixels({CAR: (60 - n, 30)}), 1 + n / 10, frame="right"))
            left = r.track(image(pixels({CAR: (5 + n, 10)}), 1 + n / 10, frame="left"))
            assert (left.header.frame_id, left.frame_index) == ("left", n)
            assert [i.track_id for i in left.instances] == [1]
            r.until(lambda n=n: len(replies) == n + 1, "answered")
        assert [a.frame_index for a in replies] == list(range(6))
        assert {i.track_id for a in replies for i in a.instances} == {1}
        r.until(lambda: reports and len(reports[-1].status) == 2, "reported")
        values = {v.key: v.value for v in reports[-1].status[0].values}
        assert "2 cameras at once" in values["engine"]
        fault.write_text("cudaStreamSynchronize cudaErrorIllegalAddress")
        right.publish(image(pixels({}), 3.0))
        r.until(lambda: r.state() == "inactive", "inactive")
        fault.unlink()
    with robot(model, **given, cameras=topics, batch_cameras=False) as r:
        assert "tensorrt, as asked; 2 cameras in turn, as asked" in r.process.log()
        assert len(r.track(image(pixels({CAR: (5, 10)}), 1.0)).instances) == 1
    with robot(model, **given, cameras=[*topics, "/back/image"]) as r:
        assert "3 cameras in turn, the model has graphs for 2 at once" in r.process.log()


def test_without_leave_to_build_the_node_says_the_command(
    fault: Path, squares: Path, given: dict[str, object]
) -> None:
    with robot(squares, connect=False, **given, engine_build=False) as r:
        assert r.process.wait(30) == 1
        assert "is not in the cache: pcan-build-engine" in r.process.log()
        assert "Traceback" not in r.process.log()


def test_a_build_that_crashes_leaves_the_node_on_another_backend(
    fault: Path, squares: Path, given: dict[str, object]
) -> None:
    fault.write_text("crash")
    with robot(squares, **given | {"backend": "auto"}) as r:
        assert len(r.track(image(pixels({CAR: (5, 10)}), 1.0)).instances) == 1
        log = r.process.log()
    assert re.search(
        r"WARN.*onnxruntime, because .*cannot build it: the build ended with exit code -9", log
    ), log


def test_without_a_writable_engine_cache_auto_warns_once_and_takes_another_backend(
    fault: Path, squares: Path, given: dict[str, object]
) -> None:
    with robot(squares, **given | {"backend": "auto", "engine_cache": "/proc/engines"}) as r:
        assert len(r.track(image(pixels({CAR: (5, 10)}), 1.0)).instances) == 1
        log = r.process.log()
    reason = "onnxruntime, because engine_cache: expected a writable folder, got /proc/engines: "
    assert log.count("WARN") == 1 and re.search(f"WARN.*{reason}", log), log


def test_an_engine_cache_that_cannot_be_written_ends_the_node_with_its_name(
    fault: Path, squares: Path, given: dict[str, object]
) -> None:
    parameters = given | {"model": str(squares), "engine_cache": "/proc/engines"}
    with NodeProcess(parameters, {"ROS_DOMAIN_ID": str(new_domain())}) as process:
        code, log = process.wait(PATIENCE), process.log()
    assert code == 1 and "/proc/engines" in log and "Traceback" not in log, log
