"""Make .venv, stage by stage: `python3 tools/environment.py runtime ros train check`.

Each stage installs requirements/<stage>.txt at the versions of requirements/pins.txt, once.
Where a ROS 2 distribution is sourced, .venv sees its packages and they win; elsewhere wheels bring ROS 2:
Kilted with the stage `ros`, or Jazzy with `jazzy` in an environment of its own (PCAN_VENV=.venv-jazzy).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / os.environ.get("PCAN_VENV", ".venv")
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "stages"
REQUIREMENTS = ROOT / "requirements"
SIZES = {  # what a stage adds, measured on x86-64
    "runtime": "260 MB",
    "ros": "400 MB",
    "train": "6 GB: PyTorch for x86-64 brings its CUDA libraries; only training and its tests need it",
    "check": "100 MB",
    "fuzz": "110 MB",
    "docs": "170 MB: mkdocs-material",
    "fleet": "250 MB: Ray",
    "storage": "1 MB",
    "publish": "40 MB",
    "openvino": "180 MB",
    "quantize": "40 MB",
    "tensorrt": "270 MB: tests build engines with TensorRT-RTX, no GPU needed",
    "jazzy": "410 MB",
}
WHEELS = ("ros", "jazzy")  # stages that bring ROS 2
OPTIONAL = ("quantize", "tensorrt")  # a failure costs some tests, which then say why they are skipped
BINDINGS = ("10.3.0", "10.7.0.post1", "10.13.3.9", "11.4.0.106")  # of TensorRT: JetPack 6.1 to the newest
CUDA_BINDINGS = ("12.9.10",)  # what .[tensorrt] installs; PyTorch brings another
MODULES = {"opencv-python-headless": "cv2", "pyyaml": "yaml"}  # where the names differ


def main(stages: list[str]) -> None:
    """Install all named stages."""
    for stage in stages:
        if stage not in SIZES:
            sys.exit(f"{stage}: expected one of {', '.join(SIZES)}")
    check_machine(stages)
    if not PYTHON.exists():
        options = ["--system-site-packages"] if distribution() else []
        subprocess.run([sys.executable, "-m", "venv", *options, str(VENV)], check=True)
    for stage in stages:
        if stage in WHEELS and distribution():
            continue
        try:
            install(stage)
        except SystemExit as error:
            if stage not in OPTIONAL:
                raise
            print(f"{error}\n{stage}: left out; the tests that need it are skipped", flush=True)


def distribution() -> str:
    """Return the sourced ROS 2 distribution, or nothing."""
    return os.environ.get("ROS_DISTRO", "") if importlib.util.find_spec("rclpy") else ""


def check_machine(stages: list[str]) -> None:
    """Exit with the command to run if a prerequisite is missing."""
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        sys.exit(f"Python {platform.python_version()} will not do, 3.10 to 3.13 will: make PYTHON=python3.12")
    if not PYTHON.exists() and not importlib.util.find_spec("ensurepip"):
        sys.exit("Python cannot make environments here: sudo apt-get install python3-venv")
    if not set(WHEELS) & set(stages):
        return
    if "jazzy" in stages and sys.version_info[:2] != (3, 12):
        sys.exit(f"The wheels of Jazzy need Python 3.12, this is {platform.python_version()}")
    if not distribution() and os.environ.get("ROS_DISTRO"):
        sys.exit(
            f"ROS 2 {os.environ['ROS_DISTRO']} is sourced, but {sys.executable} cannot import its rclpy: "
            "make PYTHON=/usr/bin/python3"
        )
    if distribution() and not shutil.which("colcon"):
        sys.exit("colcon is missing: sudo apt-get install python3-colcon-common-extensions")
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        sys.exit("The messages need a C++ compiler: sudo apt-get install g++")
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        sys.exit("The messages need Python's headers: sudo apt-get install python3-dev")
    if not distribution() and (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        sys.exit("ROS 2 comes as wheels for Linux on x86-64 only: source a ROS 2 distribution first")


def install(stage: str) -> None:
    """Install a stage unless its stamp records the same versions."""
    names = REQUIREMENTS / f"{stage}.txt"
    alone = REQUIREMENTS / f"{stage}-nodeps.txt"  # packages whose own requirements are wrong or too many
    pins = REQUIREMENTS / "pins.txt"
    own = REQUIREMENTS / f"{stage}-pins.txt"
    commands = (
        [ROOT / "pyproject.toml"] if stage == "train" else []
    )  # it names the commands that are installed
    sources = [path for path in (names, alone, pins, own, *commands) if path.exists()]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = STAMPS / stage
    if stamp.exists() and stamp.read_text() == digest:
        return
    print(f"{stage}: installing (about {SIZES[stage]})", flush=True)
    STAMPS.mkdir(exist_ok=True)
    if own.exists():
        pins = replace_wheels(pins, own)
    if distribution():
        pip(stage, *missing(names))
    else:
        pip(stage, "-r", str(names), "-c", str(pins))
    if alone.exists():
        pip(stage, "--no-deps", "-r", str(alone), "-c", str(pins))
    if stage in WHEELS:
        mend_wheels()
    if stage == "tensorrt":
        fetch_bindings()
    if stage == "train":
        pip(stage, "--no-deps", "--editable", str(ROOT))  # the commands pcan-train, pcan-export, …
    stamp.write_text(digest)


def replace_wheels(pins: Path, own: Path) -> Path:
    """Return a file of pins with the versions of other wheels of ROS 2."""
    others = [line for line in pins.read_text().splitlines() if not line.startswith("ros-")]
    path = STAMPS / own.name
    path.write_text("\n".join([*others, own.read_text()]))
    return path


def missing(names: Path) -> list[str]:
    """Return pip's arguments for packages missing in the distribution, leaving existing ones unchanged.

    NumPy stays in its major version: the distribution's OpenCV is compiled against it.
    """
    from importlib.metadata import PackageNotFoundError, version  # here: too old a Python must get its line

    lines = names.read_text().split()
    plain = {line: re.split("[<>=]", line)[0] for line in lines}
    modules = {line: MODULES.get(name, name.replace("-", "_")) for line, name in plain.items()}
    wanted = [line for line in lines if not there(modules[line])]
    try:
        own = version("numpy")
    except PackageNotFoundError:
        return wanted
    return [*wanted, f"numpy>={own},<{int(own.split('.')[0]) + 1}"]


def there(module: str) -> bool:
    """Return whether this Python finds a module, or even the package that it is in."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def pip(stage: str, *arguments: str) -> None:
    """Run pip install with a progress line, and show its output on failure."""
    log = STAMPS / f"{stage}.log"
    quiet = ["--progress-bar=off", "--disable-pip-version-check"]
    command = [str(PYTHON), "-m", "pip", "install", "--no-compile", *quiet]  # most modules are never imported
    began, width = time.monotonic(), shutil.get_terminal_size().columns - 1
    run = subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert run.stdout is not None
    with log.open("w") as record:
        for line in run.stdout:
            record.write(line)
            if sys.stdout.isatty() and re.match(r" *(Collecting|Downloading|Installing)", line):
                seconds = time.monotonic() - began
                print(f"\r\033[K{f'{seconds:4.0f} s  {line.strip()}'[:width]}", end="", flush=True)
    if sys.stdout.isatty():
        print("\r\033[K", end="")
    if run.wait():
        errors = [line for line in log.read_text().splitlines() if line.startswith("ERROR")]
        sys.exit("\n".join([*errors[-3:], f"{stage}: pip failed; its output is in {log}"]))
    print(f"{stage}: done in {time.monotonic() - began:.0f} s", flush=True)


def fetch_bindings() -> None:
    """Unpack the Python bindings of several TensorRTs (1.3 MB each) and of CUDA (34 MB), for API tests."""
    wanted = [("tensorrt_bindings", "tensorrt-cu12-bindings", version) for version in BINDINGS]
    wanted += [("cuda_bindings", "cuda-bindings", version) for version in CUDA_BINDINGS]
    for place, package, version in wanted:
        folder = VENV / place / version
        if folder.exists():
            continue
        with tempfile.TemporaryDirectory(dir=VENV) as name:
            pip(
                "tensorrt", "--no-deps", "--only-binary=:all:", "--target", f"{name}/unpacked",
                f"{package}=={version}",
            )  # fmt: skip
            folder.parent.mkdir(exist_ok=True)
            Path(name, "unpacked").rename(folder)


def mend_wheels() -> None:
    """Adapt the wheels' CMake files to this environment.

    They name folders of the machine that built them; and they export NumPy's folder as it is, which CMake
    rejects because .venv is in the source tree.
    """
    query = "import numpy, sysconfig; print(sysconfig.get_paths()['include'], numpy.get_include(), sep='\\n')"
    answer = subprocess.run([str(PYTHON), "-c", query], check=True, capture_output=True, text=True)
    python_include, numpy_include = answer.stdout.splitlines()
    for path in (VENV / "share").rglob("*.cmake"):
        text = path.read_text()
        mended = re.sub(r"/opt/python/[^;\"]*?/include/python3\.\d+", lambda _: python_include, text)
        mended = re.sub(r"/opt/python/[^;\"]*?/numpy/_core/include", lambda _: numpy_include, mended)
        mended = mended.replace(
            "PUBLIC ${Python3_INCLUDE_DIRS} ${Python3_NumPy_INCLUDE_DIRS}",
            "PRIVATE ${Python3_INCLUDE_DIRS} ${Python3_NumPy_INCLUDE_DIRS}",
        )
        if mended != text:
            path.write_text(mended)
    (VENV / "local_setup.sh").touch()  # colcon warns of a prefix without one


if __name__ == "__main__":
    main(sys.argv[1:])
