"""The order of the rooms: imports point one way only, and nothing on the robot needs torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROBOT = ("pcan_ros.node.node", "pcan_ros.track", "pcan_ros.demo", "pcan_ros.bag.command")  # what starts there
ORDER = {  # a module may use its own room and those above it
    "nouns": ["structures", "config_limits", "config", "arguments", "engine"],
    "geometry": ["geometry", "boxes"],
    "network parts": [
        "recompute",
        "prototypes",
        "backbone",
        "frame_attention",
        "instance_attention",
        "proposals",
        "heads",
        "atlas",
    ],
    "network": ["detector", "static_detection", "network", "lean", "layout"],
    "association": ["association", "roster"],
    "tracker": ["steps", "tracker", "cameras"],
    "weights": ["checkpoint", "torch_engine", "attention_maps"],
    "formats": ["formats"],
    "data": ["data", "follow"],
    "synthetic drive": ["synthetic"],
    "training": [
        "targets",
        "losses",
        "regions",
        "mask_losses",
        "training",
        "stages",
        "frozen_graph",
        "initialise",
        "released",
        "forms",
        "batches",
        "train",
    ],
    "metrics": ["evaluation", "evaluate", "score"],
    "ablations": ["ablations"],
    "export": ["export", "commands"],
    "robot": ["pcan_ros"],
}
FLOOR = {module: floor for floor, room in enumerate(ORDER.values()) for module in room}


def sources() -> dict[str, Path]:
    """Return every module of the project by its dotted name."""
    paths = sorted(p for package in ("pcan_model", "pcan_ros") for p in (ROOT / package).rglob("*.py"))
    dotted = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in paths}
    return {name.removesuffix(".__init__"): path for name, path in dotted.items()}


def imports(path: Path) -> set[str]:
    """Return what a file imports when it runs, wherever in it: modules, and the names taken from them."""
    found: set[str] = set()
    for node in running(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path}: relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def running(tree: ast.AST) -> list[ast.AST]:
    """Return all nodes but those under `if TYPE_CHECKING`."""
    typing_only = isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING"
    nodes: list[ast.AST] = [tree]
    for child in [] if typing_only else ast.iter_child_nodes(tree):
        nodes += running(child)
    return nodes


MODULES = sources()
USES = {name: imports(path) for name, path in MODULES.items()}
OWN = {name: (used & set(MODULES)) - {name, "pcan_model", "pcan_ros"} for name, used in USES.items()}


def room_of(module: str) -> str:
    """Return the module's entry in ORDER."""
    package, *rest = module.split(".")
    return rest[0] if package == "pcan_model" and rest else package


def test_every_module_has_a_room_and_every_entry_a_module() -> None:
    assert {room_of(name) for name in MODULES} - {"pcan_model"} == set(FLOOR)


@pytest.mark.parametrize("module", [name for name in MODULES if name != "pcan_model"])
def test_imports_point_up_the_list_only(module: str) -> None:
    above = {used for used in OWN[module] if FLOOR[room_of(used)] > FLOOR[room_of(module)]}
    assert not above, f"{module} may not import {sorted(above)}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    TopologicalSorter(OWN).prepare()  # raises CycleError with the circle


def roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_the_model_knows_no_ros() -> None:
    ros = {"rclpy", "pcan_ros", "sensor_msgs", "std_msgs", "rosbags", "launch"}
    for name, used in USES.items():
        if name.startswith("pcan_model"):
            assert not roots(used) & ros, name


def test_the_nouns_the_association_and_the_tracker_know_no_torch() -> None:
    for name, used in USES.items():
        if room_of(name) in (
            "structures",
            "config",
            "geometry",
            "association",
            "roster",
            "engine",
            "steps",
            "tracker",
            "cameras",
        ):
            assert not roots(used) & {"torch", "torchvision"}, name


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
        assert not roots(USES[name]) & {"torch", "torchvision", "safetensors"}, name


@pytest.mark.parametrize("start", ROBOT)
def test_what_runs_on_the_robot_starts_where_torch_is_not_installed(start: str) -> None:
    if "rclpy" in roots(set().union(*(USES[name] for name in reachable(start)))):
        pytest.importorskip("rclpy")
    blocked = "import sys; sys.modules['torch'] = sys.modules['torchvision'] = None; "
    code = f"{blocked}import {start}, pcan_ros.runtime.onnx_engine"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
