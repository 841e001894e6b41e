"""Record the layouts of msg/ and srv/, so that none changes unnoticed by those who recorded bags.

python tools/message_layouts.py            names what differs from the record or is not in the changelog
python tools/message_layouts.py --write    renews msg/layouts.json, once CHANGELOG.md names every change

A layout is the types, names, defaults and constants in their order; comments and spaces do not count.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pcan_model.core.atomic_write import write_bytes

ROOT = Path(__file__).resolve().parent.parent
COMMAND = "python tools/message_layouts.py --write"
DIGITS = 12  # of a hash


def main() -> None:
    """Name what is not recorded, or record it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="renew the record")
    write = parser.parse_args().write
    missing = list(unnamed(ROOT))
    if write and not missing:
        write_bytes(record(ROOT), (json.dumps(layouts(ROOT), indent=2) + "\n").encode())
    if faults := missing if write else [*missing, *unrecorded(ROOT)]:
        sys.exit("\n".join(faults))


def layouts(root: Path) -> dict[str, str]:
    """Return the hash of every interface by its name in ROS, such as msg/InstanceMask."""
    paths = sorted(path for kind in ("msg", "srv") for path in (root / kind).glob(f"*.{kind}"))
    return {f"{path.parent.name}/{path.stem}": digest(path.read_text()) for path in paths}


def digest(text: str) -> str:
    """Return the hash of an interface's layout."""
    lines = (" ".join(_code(line).split()) for line in text.splitlines())
    return hashlib.sha256("\n".join(line for line in lines if line).encode()).hexdigest()[:DIGITS]


def unrecorded(root: Path) -> Iterator[str]:
    """Yield a line for every interface that is not as recorded."""
    old: dict[str, str] = json.loads(record(root).read_text()) if record(root).exists() else {}
    now = layouts(root)
    for name in sorted({*old, *now}):
        if old.get(name) != now.get(name):
            was, found = old.get(name, "nothing"), now.get(name, "nothing")
            yield f"{name}: expected layout {was}, got {found}; name it in CHANGELOG.md, then {COMMAND}"


def unnamed(root: Path) -> Iterator[str]:
    """Yield a line for every layout that the changelog does not name."""
    lines = (root / "CHANGELOG.md").read_text().splitlines()
    for name, layout in layouts(root).items():
        if not any(f"`{name}` {layout}" in line for line in lines):
            yield f"CHANGELOG.md: expected a line with `{name}` {layout}, and what changed; got none"


def record(root: Path) -> Path:
    """Return the file of the recorded hashes."""
    return root / "msg" / "layouts.json"


def _code(line: str) -> str:
    """Return a line without its comment; a # in a text's default is none."""
    quote = ""
    for place, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "#":
            return line[:place]
    return line


if __name__ == "__main__":
    main()
