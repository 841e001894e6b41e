"""Query known vulnerabilities of every pinned package, with pip-audit.

`make check` runs it. If no vulnerability service is reachable, it prints one line and exits with 0, so that
a machine without a network can check the rest.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "requirements" / "pins.txt"
ACCEPTED: dict[str, str] = {}  # identity of a vulnerability to why it does not concern this project
OPTIONS = ("--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json")


class NoService(Exception):
    """No vulnerability service is reachable."""


def audit(pins: Sequence[str]) -> list[dict[str, Any]]:
    """Return the results for packages `name==version`: name, version and vulns, or skip_reason."""
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / "names.txt"
        names.write_text("\n".join(pins))
        command = [sys.executable, "-m", "pip_audit", *OPTIONS, "-r", str(names)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except (ValueError, KeyError, TypeError):
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise NoService(lines[-1]) from None


def pinned(text: str) -> list[str]:
    """Return the pins of a requirements file."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def check(pins: Sequence[str]) -> Iterator[str]:
    """Yield a line for every vulnerability; raises NoService if the first package is not found."""
    probe = audit(pins[:1])
    if not probe or "skip_reason" in probe[0]:
        raise NoService(probe[0]["skip_reason"] if probe else "no answer")
    for entry in audit(pins):
        for flaw in entry.get("vulns", ()):
            if flaw["id"] not in ACCEPTED:
                fixed = ", ".join(flaw.get("fix_versions", ())) or "no version"
                yield f"{entry['name']} {entry['version']}: {flaw['id']}, fixed in {fixed}"


def main() -> int:
    """Print the vulnerabilities; returns the exit code."""
    pins = pinned(PINS.read_text())
    try:
        lines = list(check(pins))
    except NoService as error:
        print(f"vulnerabilities: not checked, no service answers here: {error}")
        return 0
    print("\n".join(lines) if lines else f"no known vulnerabilities in {len(pins)} pins")
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main())
