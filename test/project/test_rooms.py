"""The order of the rooms: imports point one way only, and nothing on the robot needs torch."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (  # folders of pcan_model; a module may use its own room and those before it
    "core",
    "model",
    "one_stage",
    "tracking",
    "lifting",
    "inference",
    "data",
    "synthetic",
    "visualization",
    "api",
    "training",
    "released",
    "sipmask",
    "factory",
    "evaluation",
    "ranking",
    "viewer",
    "export",
    "experiments",
    "finetune",
    "cli",
    "pcan_ros",
)
ROS = {"rclpy", "pcan_ros", "sensor_msgs", "std_msgs", "rosidl_runtime_py", "launch", "launch_ros"}
TORCH = {"torch", "torchvision", "safetensors"}
NO_TORCH = (
    "core",
    "tracking",
    "lifting",
    "data",
    "synthetic",
    "visualization",
    "api",
    "ranking",
)  # whole rooms, but for what is named here
ALLOWED = {"pcan_model.visualization.attention_recorder"}  # runs the network in torch
ROBOT = (  # what starts on the robot
    "pcan_ros.node.run",
    "pcan_ros.demo",
    "pcan_model.api.load",
    "pcan_ros.bag.command",
    "pcan_model.cli.track",
    "pcan_model.cli.data",
    "pcan_model.cli.build_engine",
    "pcan_model.cli.score",
    "pcan_model.cli.drive",
)
NO_ROS = ("pcan_model.cli.track", "pcan_model.cli.data", "pcan_model.cli.score", "pcan_model.cli.evaluate")
MODULE_NAME = re.compile(r"^(pcan_model|pcan_ros)(\.\w+)+(:\w+)?$")


def sources() -> dict[str, Path]:
    """Return every module of the project by its dotted name."""
    paths = sorted(p for package in ("pcan_model", "pcan_ros") for p in (ROOT / package).rglob("*.py"))
    dotted = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in paths}
    return {name.removesuffix(".__init__"): path for name, path in dotted.items()}


def imports(text: str) -> set[str]:
    """Return what a source imports: statements anywhere, also for type checking, and names in strings.

    A string counts that is the dotted name of a module, as import_module and `python -m` take them.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, "relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and MODULE_NAME.match(node.value):
            found.add(node.value.partition(":")[0])
    return found


MODULES = sources()
USES = {name: imports(path.read_text()) for name, path in MODULES.items()}
OWN = {name: (used & set(MODULES)) - {name, "pcan_model", "pcan_ros"} for name, used in USES.items()}


def room_of(module: str) -> str:
    """Return the folder of pcan_model that a module is in, or pcan_ros."""
    package, *rest = module.split(".")
    return rest[0] if package == "pcan_model" and rest else package


def offences(module: str, used: set[str]) -> set[str]:
    """Return what a module uses of rooms behind its own."""
    own = ROOMS.index(room_of(module))
    ours = {name for name in used if name.startswith(("pcan_model.", "pcan_ros."))}
    return {name for name in ours if ROOMS.index(room_of(name)) > own}


def test_every_room_is_in_the_order() -> None:
    assert {room_of(name) for name in MODULES} - {"pcan_model"} == set(ROOMS)


@pytest.mark.parametrize("module", [name for name in MODULES if name != "pcan_model"])
def test_imports_point_one_way(module: str) -> None:
    assert not offences(module, OWN[module])


@pytest.mark.parametrize(
    "planted",
    [
        "from pcan_ros.messages import to_tracks",
        "def late():\n    from pcan_ros.client import client",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pcan_model.evaluation import setup",
        "from importlib import import_module\nimport_module('pcan_ros.client.through_node')",
        "command = ['python', '-m', 'pcan_model.cli.evaluate']",
    ],
)
def test_the_guard_sees_a_planted_import(planted: str) -> None:
    assert offences("pcan_model.data.registry", imports(planted))


def test_no_modules_import_each_other_in_a_circle() -> None:
    TopologicalSorter(OWN).prepare()  # raises CycleError with the circle


def test_no_rooms_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for name, used in OWN.items():
        graph.setdefault(room_of(name), set()).update({room_of(other) for other in used} - {room_of(name)})
    TopologicalSorter(graph).prepare()


def roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_the_model_knows_no_ros() -> None:
    for name, used in USES.items():
        if name.startswith("pcan_model"):
            assert not roots(used) & ROS, name


def test_rooms_of_arrays_know_no_torch() -> None:
    for name, used in USES.items():
        if room_of(name) in NO_TORCH and name not in ALLOWED:
            assert not roots(used) & TORCH, name


def reachable(start: str) -> set[str]:
    found, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += OWN[name]
    return found


@pytest.mark.parametrize("start", ROBOT)
def test_nothing_that_runs_on_the_robot_is_written_to_import_torch(start: str) -> None:
    for name in reachable(start):
        assert not roots(USES[name]) & TORCH, name


def start(module: str, blocked: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Import a module in a Python that lacks some packages."""
    code = f"import sys; [sys.modules.__setitem__(name, None) for name in {blocked!r}]; import {module}"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("module", ROBOT)
def test_what_runs_on_the_robot_starts_where_torch_is_not_installed(module: str) -> None:
    if "rclpy" in roots(set().union(*(USES[name] for name in reachable(module)))):
        pytest.importorskip("rclpy")
    done = start(module, ("torch", "torchvision"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", NO_ROS)
def test_commands_without_ros_start_where_ros_is_not_installed(module: str) -> None:
    done = start(module, ("rclpy", "std_msgs", "sensor_msgs", "rosidl_runtime_py", "launch"))
    assert done.returncode == 0, done.stderr
