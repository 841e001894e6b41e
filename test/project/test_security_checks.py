"""The checks of `make check` for secrets and for known vulnerabilities."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_planted_key_is_found_with_its_line_and_a_hash_is_none(tmp_path: Path) -> None:
    pytest.importorskip("detect_secrets", reason="make env")
    planted = tmp_path / "settings.py"
    planted.write_text(f"# here\nkey = '{'AKIA' + 'IOSFODNN7' + 'ABCDEFG'}'\n")
    hashed = tmp_path / "manifest.json"
    hashed.write_text(json.dumps({"sha256": hashlib.sha256(b"weights").hexdigest()}))
    lines = tool("check_secrets").faults([planted, hashed])
    assert lines and all(line.startswith(f"{planted}:2: ") for line in lines)


def test_what_programs_write_is_not_looked_through(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for name, data in {"a.py": b"x = 1\n", "b.bin": b"\0\1", "c.json": b"1" * 5000, "d.txt": b""}.items():
        (tmp_path / name).write_bytes(data)
    assert [path.name for path in tool("check_secrets").tracked(tmp_path)] == ["a.py", "d.txt"]


def answering(entries: list[dict[str, Any]] | None) -> Any:
    """Return what stands for subprocess.run of pip-audit; None: it cannot reach its service."""

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        count = len(Path(command[-1]).read_text().splitlines())
        if entries is None:
            return subprocess.CompletedProcess(command, 1, "", "Traceback\nConnectionError: no route")
        return subprocess.CompletedProcess(command, 0, json.dumps({"dependencies": entries[:count]}), "")

    return run


FLAW = {"id": "PYSEC-1", "fix_versions": ["2.0"]}
SOUND, BAD = {"name": "a", "version": "1.0", "vulns": []}, {"name": "b", "version": "1.0", "vulns": [FLAW]}


@pytest.mark.parametrize(
    ("entries", "said", "code"),
    [
        ([SOUND, SOUND], "no known vulnerabilities in 2 pins", 0),
        ([SOUND, BAD], "b 1.0: PYSEC-1, fixed in 2.0", 1),
        ([SOUND, {"name": "ros", "skip_reason": "not found"}], "no known vulnerabilities in 2 pins", 0),
        ([{"name": "a", "skip_reason": "not found"}], "not checked, no service answers here: not found", 0),
        (None, "not checked, no service answers here: ConnectionError: no route", 0),
    ],
)
def test_vulnerabilities_fail_the_check_and_a_missing_service_is_said_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    entries: list[dict[str, Any]] | None,
    said: str,
    code: int,
) -> None:
    audit = tool("audit")
    monkeypatch.setattr(audit.subprocess, "run", answering(entries))
    monkeypatch.setattr(audit, "PINS", tmp_path / "pins.txt")
    (tmp_path / "pins.txt").write_text("# runtime\na==1.0\nb==1.0; python_version >= '3.11'\n")
    assert audit.main() == code
    assert said in capsys.readouterr().out.splitlines()[-1]
    monkeypatch.setitem(audit.ACCEPTED, "PYSEC-1", "is never called")
    assert audit.main() == 0
