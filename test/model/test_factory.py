"""The configuration is applied when the network is built: no forward pass branches on it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "pcan_model"
ROOMS = [
    *sorted((ROOT / "model").rglob("*.py")),
    *(ROOT / "training" / f"{name}.py" for name in ("mask_losses", "stages", "training_pass")),
    *(ROOT / "released" / f"{name}.py" for name in ("clustering", "detection", "frame_memory", "network")),
    *(ROOT / "released" / f"{name}.py" for name in ("engine", "refinement", "stages", "static")),
]


def conditions(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield what decides a branch in any method but the constructors."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            methods = [m for m in node.body if isinstance(m, ast.FunctionDef) and m.name != "__init__"]
            for inner in (n for method in methods for n in ast.walk(method)):
                if isinstance(inner, (ast.If, ast.IfExp, ast.While)):
                    yield inner.test


def settings(condition: ast.expr) -> list[str]:
    """Return what of a configuration a condition reads."""
    read = [ast.unparse(n) for n in ast.walk(condition) if isinstance(n, ast.Attribute)]
    return [name for name in read if "config" in name.split(".") or name.endswith(".enabled")]


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_pass_branches_on_the_configuration(room: Path) -> None:
    found = [s for c in conditions(ast.parse(room.read_text())) for s in settings(c)]
    assert found == []


def test_a_branch_on_the_configuration_is_found() -> None:
    code = "class A:\n def forward(self, x):\n  return x if self.net.config.part.enabled else -x"
    assert next(settings(c) for c in conditions(ast.parse(code)))[0] == "self.net.config.part.enabled"
