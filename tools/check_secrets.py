"""Search the files that git tracks for keys, tokens and passwords, with detect-secrets.

`make check` runs it. A line that only looks like a secret ends with `# pragma: allowlist secret`. The plugins
that go by entropy are off: hashes of models and notebooks' images look the same to them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OFF = ("Base64HighEntropyString", "HexHighEntropyString")
LONGEST = 2000  # bytes of a line; longer ones are weights, images and run lengths


def faults(files: Sequence[Path]) -> list[str]:
    """Return a line for every secret: type and location."""
    from detect_secrets import SecretsCollection
    from detect_secrets.settings import default_settings

    found = SecretsCollection()
    with default_settings() as settings:
        settings.disable_plugins(*OFF)
        for file in files:
            found.scan_file(str(file))
    return [f"{file}:{secret.line_number}: {secret.type}" for file, secret in found]


def tracked(root: Path) -> list[Path]:
    """Return the tracked and untracked files that git does not ignore, except generated ones."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    files = [root / name for name in names if name]
    return [file for file in files if file.is_file() and _is_typed(file.read_bytes())]


def _is_typed(data: bytes) -> bool:
    return b"\0" not in data and max(map(len, data.split(b"\n"))) <= LONGEST


def main() -> int:
    """Print the secrets; returns the exit code."""
    files = tracked(ROOT)
    lines = faults(files)
    print("\n".join(lines) if lines else f"no secrets in {len(files)} files")
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main())
