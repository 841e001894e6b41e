"""Write docs/reference/commands.md from the argparse parser of each command; --check only compares.

Every command of pyproject.toml is started with --help in this process, its argparse parser is caught
where it would print, and written down as a table. So the page needs no upkeep, and no Python version
lays it out differently.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "commands.md"
HEAD = """# Commands

Made by `make reference` from the commands' own `--help`; do not edit. `pip install .`, `make env` and
`make train-env` install them; on a robot `ros2 run pcan_ros pcan-build-engine` is there, too."""
DEFAULT = re.compile(r"\s*\(default: ((?:[^()]|\([^()]*\))*)\)")


class Caught(Exception):
    """Carries the parser of a command started with --help."""


def main() -> int:
    """Write the page, or with --check return 1 if it is out of date."""
    text = page()
    if "--check" in sys.argv[1:]:
        same = PAGE.is_file() and PAGE.read_text() == text
        if not same:
            print(f"{PAGE.relative_to(ROOT)}: out of date; run: make reference", file=sys.stderr)
        return 0 if same else 1
    PAGE.write_text(text)
    print(f"written: {PAGE.relative_to(ROOT)}")
    return 0


def page() -> str:
    """Return the page of all commands."""
    parsers = {name: parser_of(name, target) for name, target in sorted(scripts().items())}
    blocks = (block for name, parser in parsers.items() for block in section(name, parser, 2))
    return "\n\n".join([HEAD, *blocks]) + "\n"


def scripts() -> dict[str, str]:
    """Return `module:function` of every installed command."""
    block = (ROOT / "pyproject.toml").read_text().split("[project.scripts]")[1].split("\n[")[0]
    return dict(re.findall(r'^([\w-]+) = "([\w.:]+)"$', block, re.MULTILINE))


def parser_of(name: str, target: str) -> argparse.ArgumentParser:
    """Start a command with --help and return its parser."""

    def caught(parser: argparse.ArgumentParser, _: object = None) -> None:
        raise Caught(parser)

    module, _, function = target.partition(":")
    with (
        patch.object(sys, "argv", [name, "--help"]),
        patch.object(argparse.ArgumentParser, "print_help", caught),
    ):
        try:
            getattr(import_module(module), function)()
        except Caught as error:
            parser: argparse.ArgumentParser = error.args[0]
            return parser
    raise SystemExit(f"{name}: expected an argparse command, got one without --help")


def section(name: str, parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    """Yield the blocks of one command: description, arguments, epilog, subcommands."""
    yield f"{'#' * level} {name}"
    yield from prose(parser.description, parser.prog)
    rows = [row(action) for action in parser._actions if shown(action)]
    if rows:
        yield "\n".join(["| argument | default | |", "|---|---|---|", *rows])
    yield from prose(parser.epilog, parser.prog)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub, child in action.choices.items():
                yield from section(f"{name} {sub}", child, level + 1)


def prose(text: str | None, prog: str) -> Iterator[str]:
    """Yield a description; indented lines are examples or lists and keep their form."""
    for part in re.split(r"\n\s*\n", (text or "").replace("%(prog)s", prog).strip("\n")):
        lines = part.splitlines()
        plain = next((n for n, line in enumerate(lines) if line.startswith(" ")), len(lines))
        if plain:
            yield "\n".join(map(escaped, lines[:plain]))
        if lines[plain:]:
            yield "\n".join(["```text", *(line.removeprefix("  ") for line in lines[plain:]), "```"])


def shown(action: argparse.Action) -> bool:
    """Return whether an argument is shown in the table."""
    hidden = action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction)
    return not hidden and not isinstance(action, argparse._SubParsersAction)


def row(action: argparse.Action) -> str:
    """Return the table row of an argument, with the default from its help in a separate column."""
    names, value = ", ".join(f"`{name}`" for name in action.option_strings), action.metavar
    if not names:
        names = f"`{value or action.dest}`"
    elif value:
        words = value if isinstance(value, str) else " ".join(value)
        names = f"{names[:-1]} {words}`"
    help_text = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    about, default = DEFAULT.sub("", help_text), DEFAULT.search(help_text)
    if action.option_strings and action.choices:
        about += (
            f" ({' | '.join(map(str, action.choices))})" if about else " | ".join(map(str, action.choices))
        )
    cell = escaped(default[1]) if default else ""
    if action.required and action.option_strings:
        cell = "required"
    elif not cell and action.default not in (None, argparse.SUPPRESS, [], ()) and action.default is not False:
        cell = f"`{shorter(action.default)}`"
    return f"| {names} | {cell} | {escaped(about)} |"


def shorter(value: object) -> str:
    """Return a default as text, the same on every machine."""
    text = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return text.replace(str(Path.home()), "~")


def escaped(text: str) -> str:
    """Escape text for a Markdown table cell."""
    text = text.replace(str(Path.home()), "~").replace("\n", " ")
    signs = {"<": "&lt;", ">": "&gt;"}
    return re.sub(r"(`[^`]*`)|([|<>*[])", lambda m: m[1] or signs.get(m[2], f"\\{m[2]}"), text)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
