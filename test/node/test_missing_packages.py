"""Each missing package on a robot is one line that names what to install, before tracking starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from support.bags import Squares
from support.domains import new_domain
from support.squares import export_squares

from pcan_model.data.datasets.scalabel import write_clip

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_squares(tmp_path_factory.mktemp("squares"))


def without(package: str, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of scripts/ where a package is not installed, nor in the processes that it starts."""
    missing = f"raise ModuleNotFoundError('No module named {package}', name='{package}')\n"
    (folder / "hidden").mkdir()
    (folder / "hidden" / f"{package}.py").write_text(missing)
    path = os.pathsep.join([str(folder / "hidden"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "ROS_DOMAIN_ID": str(new_domain())}
    words = [sys.executable, str(ROOT / "scripts" / command[0]), *command[1:]]
    return subprocess.run(
        words, env=environment, cwd=folder, capture_output=True, text=True, timeout=90, check=False
    )


@pytest.mark.parametrize("program", ["pcan_tracker", "pcan-bag", "pcan-evaluate"])
def test_a_program_without_pycocotools_ends_with_one_line(program: str, tmp_path: Path) -> None:
    run = without("pycocotools", tmp_path, program)
    line = f"{program}: needs pycocotools, which is not installed: pip install pycocotools\n"
    assert (run.returncode, run.stderr) == (2, line)


@pytest.mark.parametrize(
    ("package", "install"),
    [("onnxruntime", "pip install onnxruntime"), ("openvino", "pip install openvino")],
)
def test_a_node_without_its_runtime_ends_with_one_line(
    package: str, install: str, squares: Path, tmp_path: Path
) -> None:
    given = ["-p", f"model:={squares}", "-p", f"backend:={package}"]
    run = without(package, tmp_path, "pcan_tracker", "--ros-args", *given)
    assert run.returncode == 1
    errors = [line for line in run.stderr.splitlines() if line.strip()]
    assert len(errors) == 1, run.stderr
    assert f"on_configure: backend: {package} is not installed: {install}" in errors[0]


@pytest.mark.parametrize("package", ["trackeval", "scipy", "rosbags", "onnxruntime"])
def test_an_evaluation_reports_missing_packages_before_it_tracks(
    package: str, squares: Path, tmp_path: Path
) -> None:
    pytest.importorskip("trackeval")
    write_clip(tmp_path / "set", "a", (Squares().frame(i) for i in range(2)))
    given = [str(squares), "--engine", "onnx", "--data", str(tmp_path / "set"), "--via", "node"]
    run = without(package, tmp_path, "pcan-evaluate", *given)
    assert run.returncode == 2
    *progress, line = run.stderr.splitlines()
    assert package in line.lower() and "pip install" in line
    assert "1/" not in "".join(progress), "a frame was tracked"
