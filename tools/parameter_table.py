"""Write config/tracker.yaml and docs/reference/parameters.md from the dataclasses of the options.

python tools/parameter_table.py            prints the page
python tools/parameter_table.py --write    writes both files; a test fails where they are out of date
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.config import Config
from pcan_model.core.fields import Setting, settings_of
from pcan_model.core.tracker_config import TrackerConfig
from pcan_ros.node.parameters import TRACKER, Parameter, parameters

ROOT = Path(__file__).resolve().parent.parent
YAML, PAGE = ROOT / "config" / "tracker.yaml", ROOT / "docs" / "reference" / "parameters.md"
COMMAND = "python tools/parameter_table.py --write"
SHOWN = ("tracker.init_score", "tracker.track_score", "tracker.lost_seconds")  # in the YAML file, as examples


def main() -> None:
    """Print the page, or write both files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="write the files instead")
    if not parser.parse_args().write:
        print(parameter_page(), end="")
        return
    write_bytes(YAML, parameter_file().encode())
    write_bytes(PAGE, parameter_page().encode())


def parameter_file() -> str:
    """Return config/tracker.yaml: every parameter of the node with its default."""
    known = parameters(TrackerConfig())
    lines = [
        f"# Made by `{COMMAND}` from pcan_ros/node/parameters.py.",
        "# Those marked (runtime) may be changed while the node runs, the others are read once at the start.",
        "/**:",
        "  ros__parameters:",
    ]
    lines += _entries(p for p in known.values() if not p.name.startswith(TRACKER))
    lines.append("    # The model brings its own thresholds (runtime); name one here to change it:")
    lines += [f"    # {line.strip()}" for line in _entries(known[name] for name in SHOWN)]
    return "\n".join(lines) + "\n"


def _entries(entries: Iterable[Parameter]) -> list[str]:
    own = [(f"    {p.name}: {json.dumps(p.default)}", p) for p in entries]
    width = max(len(entry) for entry, _ in own)
    return [f"{entry:{width}}  # {_comment(p)}" for entry, p in own]


def _comment(parameter: Parameter) -> str:
    choices = " | ".join(parameter.field.choices)
    return (
        ("" if parameter.read_only else "(runtime) ")
        + parameter.description
        + (f": {choices}" if choices else "")
    )


def parameter_page() -> str:
    """Return docs/reference/parameters.md: parameters of the node, and every key of a configuration."""
    lines = [
        "# Parameters",
        "",
        f"Made by `{COMMAND}` from the dataclasses; edit those.",
        "",
        "## Of the node",
        "",
        "`ros2 param describe /pcan_tracker NAME` says the same. The defaults of `tracker.*` are the model's "
        "own; here they are the paper's.",
        "",
        *_node_table(),
        "",
        "## Of a configuration",
        "",
        "Keys of the YAML files that `pcan-train`, `pcan-export` and `pcan-evaluate` read "
        "(`pcan_model/configs`). What is not there has its default, which is the paper's value.",
    ]
    for title, about, rows in _parts():
        lines += ["", f"### {title}", "", about, "", *rows]
    return "\n".join(lines) + "\n"


def _node_table() -> Iterator[str]:
    yield "| parameter | default | may be | changes | meaning |"
    yield "|---|---|---|---|---|"
    for p in parameters(TrackerConfig()).values():
        when = "at the start" if p.read_only else "at runtime"
        yield _row(f"`{p.name}`", _code(p.default), _may_be(p.field), when, p.description)


def _parts() -> Iterator[tuple[str, str, list[str]]]:
    """Yield title, meaning and table of each part of a configuration."""
    config = Config()
    yield "The whole", "Beside the parts below.", list(_key_table(config))
    for part in fields(config):
        record = getattr(config, part.name)
        if is_dataclass(record):
            about = " ".join((type(record).__doc__ or "").split("\n\n")[0].split())
            yield f"`{part.name}`", about, list(_key_table(record))


def _key_table(record: Any) -> Iterator[str]:
    yield "| key | default | may be | meaning |"
    yield "|---|---|---|---|"
    for name, known in settings_of(type(record)).items():
        yield _row(f"`{name}`", _code(getattr(record, name)), _may_be(known), known.text)


def _may_be(known: Setting) -> str:
    return ", ".join(f"`{choice}`" for choice in known.choices) or known.range


def _code(value: Any) -> str:
    return f"`{json.dumps(value)}`"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


if __name__ == "__main__":
    main()
