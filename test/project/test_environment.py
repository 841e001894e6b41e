"""How tools/environment.py makes .venv, as far as nothing is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def environment() -> ModuleType:
    spec = importlib.util.spec_from_file_location("environment", ROOT / "tools" / "environment.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_of_a_distribution_only_what_it_lacks_is_installed(environment: ModuleType, tmp_path: Path) -> None:
    names = tmp_path / "stage.txt"
    names.write_text("pyyaml\nnowhere.at_all\nopencv-python-headless<5\nno-such-thing>=2\n")
    *wanted, numpy = environment.missing(names)
    assert wanted == ["nowhere.at_all", "no-such-thing>=2"]
    major = int(np.__version__.split(".")[0])
    assert numpy == f"numpy>={np.__version__},<{major + 1}", "what is compiled against it goes on working"


def test_every_stage_of_the_makefile_has_a_size_and_a_file(environment: ModuleType) -> None:
    lines = [line for line in (ROOT / "Makefile").read_text().splitlines() if "@$(ENVIRONMENT)" in line]
    stages = {word for line in lines for word in line.split("$(ENVIRONMENT)")[1].split("$")[0].split()}
    assert stages <= set(environment.SIZES)
    assert all((ROOT / "requirements" / f"{stage}.txt").is_file() for stage in environment.SIZES)


def test_an_unknown_stage_is_named(environment: ModuleType) -> None:
    with pytest.raises(SystemExit, match="rtain: expected one of runtime, ros, train"):
        environment.main(["rtain"])


def test_a_machine_that_cannot_have_the_wheels_is_told_what_to_do(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.setattr(environment.platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(environment, "distribution", lambda: "")
    with pytest.raises(SystemExit, match="source a ROS 2 distribution first"):
        environment.check_machine(["ros"])


def test_a_python_that_is_not_the_distributions_is_told_which_is(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DISTRO", "humble")
    monkeypatch.setattr(environment, "distribution", lambda: "")
    with pytest.raises(SystemExit, match=r"humble is sourced, but .* make PYTHON=/usr/bin/python3"):
        environment.check_machine(["ros"])


def test_jazzys_wheels_have_versions_of_their_own(
    environment: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "STAMPS", tmp_path)
    requirements = ROOT / "requirements"
    path = environment.replace_wheels(requirements / "pins.txt", requirements / "jazzy-pins.txt")
    lines = path.read_text().splitlines()
    assert "ros-rclpy==7.1.6" in lines and not any("kilted" in line for line in lines)
    assert sum(line.startswith("numpy==") for line in lines) == 2


def test_another_python_than_that_of_jazzys_wheels_is_refused(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment.sys, "version_info", (3, 11, 7))
    with pytest.raises(SystemExit, match=r"The wheels of Jazzy need Python 3.12, this is 3\."):
        environment.check_machine(["jazzy"])
