"""All that we use of TensorRT and CUDA is in the real ones, from JetPack 6 to 11.4."""

from __future__ import annotations

import ast
import inspect
import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.fake_cudart import FakeCudart
from support.tensorrt_api import COMMON, FULL, RTX

from pcan_model.inference.errors import EngineLost
from pcan_model.inference.tensorrt.cuda import Cuda

ROOT = Path(__file__).parents[3]
WHEELS = ROOT / ".venv" / "tensorrt_bindings"  # tools/environment.py unpacks them there
CUDA_WHEELS = ROOT / ".venv" / "cuda_bindings"
ENVIRONMENT = runpy.run_path(str(ROOT / "tools" / "environment.py"))
STUB = "".join(
    f"void *{name}(void) {{ return 0; }}\n"
    for name in (
        "createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL",
        "createNvOnnxParserRefitter_INTERNAL", "createNvOnnxParser_INTERNAL", "getBuilderPluginRegistry",
        "getNvOnnxParserVersion", "getPluginRegistry", "initLibNvInferPlugins",
    )
)  # fmt: skip
OURS = [
    ROOT / "pcan_model" / "inference" / "tensorrt" / f"{n}.py"
    for n in ("build", "logger", "loaded_engine", "network_pass")
]


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with empty libraries in place of NVIDIA's."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler for the stub libraries")
    folder = tmp_path_factory.mktemp("stubs")
    (folder / "stub.c").write_text(STUB)
    for major in (10, 11):
        for library in ("libnvinfer", "libnvonnxparser", "libnvinfer_plugin"):
            name = f"{library}.so.{major}"
            command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", name, "stub.c"]
            subprocess.run(command, cwd=folder, check=True)
    return folder


def look(*words: str, script: str = "tensorrt_api.py", **environment: str) -> dict[str, Any]:
    """Return what a real module has."""
    path = Path(__file__).parents[2] / "support" / script
    run = subprocess.run(
        [sys.executable, str(path), *words],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return dict(json.loads(run.stdout))


@pytest.mark.parametrize("version", ENVIRONMENT["BINDINGS"])
def test_tensorrt_has_all_that_we_use(version: str, stubs: Path) -> None:
    folder = WHEELS / version
    if not folder.is_dir():
        pytest.skip(f"the bindings of TensorRT {version} are not in {WHEELS}: make env")
    api = look("tensorrt_bindings", PYTHONPATH=str(folder), LD_LIBRARY_PATH=str(stubs))
    assert api["version"] == version
    assert api["missing"] == []
    listed = {name for table in (COMMON, FULL, RTX) for names in table.values() for name in names}
    assert used(set(api["names"])) <= listed, "used and not in support/tensorrt_api.py"


def test_tensorrt_rtx_has_all_that_we_use() -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: make env")
    assert look("tensorrt_rtx")["missing"] == []


@pytest.fixture(scope="module", params=["installed", *ENVIRONMENT["CUDA_BINDINGS"]])
def cuda_api(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return what the bindings of the CUDA runtime have, of each version."""
    if request.param == "installed":
        pytest.importorskip("cuda.bindings.runtime", reason="cuda-python is not installed")
        return look(script="cuda_api.py")
    folder = CUDA_WHEELS / request.param
    if not folder.is_dir():
        pytest.skip(f"the bindings of CUDA {request.param} are not in {CUDA_WHEELS}: make env")
    api = look(script="cuda_api.py", PYTHONPATH=str(folder))
    assert api["version"] == request.param
    return api


def test_the_cuda_runtime_has_all_that_we_use(cuda_api: dict[str, Any]) -> None:
    tree = ast.parse((ROOT / "pcan_model" / "inference" / "tensorrt" / "cuda.py").read_text())
    names = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    calls = {name for name in names if isinstance(name, str) and name.startswith("cuda") and name.isalnum()}
    kinds = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    calls |= {name for name in kinds if name.startswith("cudaGet")}
    assert len(calls) > 15
    assert calls <= cuda_api["arguments"].keys()
    values = {name for name in kinds if name.startswith("cuda") and name not in calls}
    assert values - set(cuda_api["members"]) == set(cuda_api["flags"])
    assert cuda_api["flags"] == {"cudaStreamNonBlocking": 1, "cudaEventDisableTiming": 2}


def test_the_cuda_runtime_takes_as_many_arguments_as_we_give(cuda_api: dict[str, Any]) -> None:
    tree = ast.parse((ROOT / "pcan_model" / "inference" / "tensorrt" / "cuda.py").read_text())
    given = {
        call.args[0].value: len(call.args) - 1
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant)
        if ast.unparse(call.func) == "self._call"
    }
    assert len(given) > 15
    assert {name: cuda_api["arguments"][name] for name in given} == given
    fake = {n: len(inspect.signature(getattr(FakeCudart, n)).parameters) - 1 for n in given}
    assert fake == given, "the stand-in takes others than the real one"


def test_bindings_that_raise_without_a_driver_have_no_devices() -> None:
    class Bindings:
        def cudaGetDeviceCount(self) -> None:
            raise RuntimeError("Failed to dlopen libcuda.so.1")

    assert Cuda(Bindings()).devices() == 0


def test_without_a_driver_the_real_cuda_says_so_and_does_not_crash() -> None:
    cudart = pytest.importorskip("cuda.bindings.runtime", reason="cuda-python is not installed")
    cuda = Cuda(cudart)
    if cuda.devices():
        pytest.skip("there is a CUDA device")
    with pytest.raises(EngineLost, match=r"CUDA: cudaMalloc for 1.0 MiB: cudaError"):
        cuda.allocate(1 << 20)


def used(names: set[str]) -> set[str]:
    """Return the attributes in our code that are names of TensorRT's API."""
    ambiguous = {"name", "config", "reset", "capability", "itemsize"}  # ours, or of an enum's member
    found = set()
    for path in OURS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in names:
                found.add(node.attr)
    return found - ambiguous
