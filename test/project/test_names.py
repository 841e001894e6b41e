"""Sizes and names: prints what stands out (`pytest -rP`), fails on gross breaches only."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("pcan_model", "pcan_ros", "test", "tools", "launch", "benchmarks")
PLAIN = re.compile(r"^_{0,2}[a-z][a-z0-9]*(_[a-z0-9]+)*_{0,2}$")
VAGUE = {
    "data2",
    "tmp",
    "foo",
    "stuff",
    "helper",
    "helpers",
    "utils",
    "misc",
    "manager",
    "do_it",
    "process_data",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def files() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


def functions() -> Iterator[tuple[Path, Function]]:
    for path in files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function):
                yield path, node


def length(node: Function) -> int:
    """Return a function's lines without its docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def show(title: str, rows: list[str]) -> None:
    print(f"{title}: {len(rows) or 'none'}", *sorted(rows), sep="\n  ")


def test_no_file_is_far_too_long() -> None:
    sizes = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in files()}
    show("files over 300 lines", [f"{n:4} {name}" for name, n in sizes.items() if n > 300])
    print(f"median {sorted(sizes.values())[len(sizes) // 2]} lines in {len(sizes)} files")
    assert {name: n for name, n in sizes.items() if n > 400} == {}


def test_no_function_is_far_too_long() -> None:
    sizes = {f"{path.relative_to(ROOT)}: {node.name}": length(node) for path, node in functions()}
    show("functions over 50 lines", [f"{n:3} {name}" for name, n in sizes.items() if n > 50])
    print(f"median {sorted(sizes.values())[len(sizes) // 2]} lines in {len(sizes)} functions")
    assert {name: n for name, n in sizes.items() if n > 80} == {}


def test_nothing_that_git_ignores_is_in_the_repository() -> None:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("no git here")
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--ignored", "--exclude-standard"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip(f"git says: {run.stderr.strip()}")
    assert run.stdout == ""


def test_folders_are_three_deep() -> None:
    deep = [p for p in files() if len(p.relative_to(ROOT).parts) > 4]
    assert deep == []


def test_names_that_stand_out_are_shown() -> None:
    odd = []
    for path, node in functions():
        arguments = [a.arg for a in (*node.args.args, *node.args.kwonlyargs) if a.arg not in ("self", "cls")]
        where = f"{path.relative_to(ROOT)}: {node.name}"
        odd += [f"{where}: {name}" for name in (node.name, *arguments) if name in VAGUE]
        if not PLAIN.match(node.name):
            odd.append(f"{where}: unusual name")
        if len(arguments) > 6 and not path.name.startswith("test_"):
            odd.append(f"{where}: {len(arguments)} arguments")
    show("names that stand out", odd)
