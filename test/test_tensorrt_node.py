"""The node on (a stand-in of) TensorRT: it tracks, tells what runs, and gives up when the device fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from support.robot import image, robot
from support.squares import export_squares, picture

CAR = 2
CUDART = """
import os
from support.fake_cudart import FakeCudart, cudaError_t

class Fails(dict):
    def get(self, name, default):
        broken = name == "cudaStreamSynchronize" and os.path.exists(os.environ["PCAN_TEST_BROKEN_DEVICE"])
        return (cudaError_t.cudaErrorIllegalAddress, 0) if broken else default

device = FakeCudart()
device.fails = Fails()

def __getattr__(name):
    return getattr(device, name)
"""
TENSORRT = """
from cuda.bindings.runtime import device
from support.fake_tensorrt import FakeTensorRt

module = FakeTensorRt(device)

def __getattr__(name):
    return getattr(module, name)
"""


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the stand-ins where the node imports them; the device fails once the returned file exists."""
    modules = tmp_path / "modules"
    (modules / "cuda" / "bindings").mkdir(parents=True)
    (modules / "cuda" / "bindings" / "__init__.py").touch()
    (modules / "cuda" / "bindings" / "runtime.py").write_text(CUDART)
    (modules / "tensorrt.py").write_text(TENSORRT)
    paths = (modules, Path(__file__).parent, os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
    monkeypatch.setenv("PCAN_TEST_BROKEN_DEVICE", str(tmp_path / "broken"))
    return tmp_path / "broken"


def test_it_tracks_and_a_failing_device_makes_it_inactive(broken: Path, tmp_path: Path) -> None:
    squares = export_squares(tmp_path / "squares")
    cache = str(tmp_path / "engines")
    with robot(squares, backend="auto", engine_cache=cache, status_period=0.2) as r:
        assert "the frame engine is not in the cache: building it" in r.process.log(), r.process.log()
        assert "tensorrt, the fastest that works here" in r.process.log()
        reports = r.collect(DiagnosticArray, "/diagnostics")
        answers = [r.track(image(picture({CAR: (5 + n, 10)}), 1 + n / 10)) for n in range(6)]
        assert [i.track_id for answer in answers for i in answer.instances] == [1] * 6
        r.until(lambda: any("tracking" in m.status[0].message for m in reports), "reported")
        values = {v.key: v.value for v in reports[-1].status[0].values}
        assert values["backend"] == "tensorrt" and "Pretender" in values["engine"]
        assert "MiB" in values["device memory"]

        broken.touch()
        r.client.send(image(picture({CAR: (20, 10)}), 3.0))
        r.until(lambda: r.state() == "inactive", "inactive")
        assert "the engine is lost, the node becomes inactive: CUDA: cudaStreamSynchronize" in r.process.log()
        r.until(lambda: "the engine is lost" in reports[-1].status[0].message, "reported")
        assert reports[-1].status[0].level == b"\2"
        assert not r.change_state(Transition.TRANSITION_ACTIVATE), "not on a lost engine"

        broken.unlink()
        assert r.change_state(Transition.TRANSITION_CLEANUP)
        assert r.change_state(Transition.TRANSITION_CONFIGURE)
        assert r.change_state(Transition.TRANSITION_ACTIVATE)
        assert len(r.track(image(picture({CAR: (5, 10)}), 4.0)).instances) == 1
        assert r.process.log().count("building it") == 2, "frame and instance, once each"


def test_without_leave_to_build_the_node_says_the_command(broken: Path, tmp_path: Path) -> None:
    squares = export_squares(tmp_path / "squares")
    given = {"backend": "tensorrt", "engine_build": False, "engine_cache": str(tmp_path / "engines")}
    with robot(squares, connect=False, **given) as r:
        assert r.process.wait(30) == 1
        assert "is not in the cache: pcan-build-engine" in r.process.log()
        assert "Traceback" not in r.process.log()
