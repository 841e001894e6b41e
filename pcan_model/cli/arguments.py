"""Options of the commands, made from dataclass fields."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pcan_model.core.fields import Setting, settings_of

Number = TypeVar("Number", int, float)
Record = TypeVar("Record")


def command_parser(program: str, explanation: str, epilog: str | None = None) -> argparse.ArgumentParser:
    """Return a parser whose help keeps the lines of its explanation."""
    return argparse.ArgumentParser(
        program,
        description=explanation,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def at_least(low: Number) -> Callable[[str], Number]:
    """Return an argparse type: a number of the kind of `low`, not below it."""
    return number(type(low), low, None)


def number(kind: type[Number], low: float | None, high: float | None) -> Callable[[str], Number]:
    """Return an argparse type: a number between two limits, both included."""
    expected = f"a number from {low} {'up' if high is None else f'to {high}'}"
    if low is None:
        expected = "a number" if high is None else f"a number up to {high}"

    def read(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            value = None
        bottom, top = (-float("inf") if low is None else low), (float("inf") if high is None else high)
        if value is None or not bottom <= value <= top:  # also of nan
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return value

    return read


def add_options(
    parser: Any,
    kind: type,
    *,
    only: Collection[str] = (),
    skip: Collection[str] = (),
    positional: Collection[str] = (),
    metavars: Mapping[str, str | tuple[str, ...]] | None = None,
) -> None:
    """Add an option for every described field of a dataclass.

    only        names of fields; empty for all
    positional  names of fields that are arguments without dashes
    metavars    what stands for the value in the help, by the field's name
    """
    metavars = metavars or {}
    for name, known in settings_of(kind).items():
        if name not in skip and (not only or name in only):
            _add(parser, known, metavars.get(name), positional=name in positional)


def read_options(kind: type[Record], parsed: argparse.Namespace, **others: Any) -> Record:
    """Return the dataclass that the options of `add_options` say; others by name are put in as they are."""
    values = {name: getattr(parsed, name) for name in settings_of(kind) if hasattr(parsed, name)}
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return kind(**plain | others)


def _add(parser: Any, known: Setting, metavar: str | tuple[str, ...] | None, *, positional: bool) -> None:
    names = [known.name] if positional else [f"--{known.name.replace('_', '-')}"]
    words: dict[str, Any] = {"help": _help(known)}
    if known.kind is bool:
        action = argparse.BooleanOptionalAction if known.default else "store_true"
        parser.add_argument(*names, action=action, default=known.default, **words)
        return
    if known.choices:
        words["choices"] = known.choices
    elif known.kind in (int, float):
        words["type"] = number(known.kind, known.low, known.high)
    elif known.kind is Path:
        words["type"] = Path
    if known.many:
        words["nargs"] = known.length or ("+" if known.required or known.optional else "*")
    elif positional and not known.required:
        words["nargs"] = "?"
    if metavar or known.unit:
        words["metavar"] = metavar or known.unit.upper()
    if not known.required:
        words["default"] = known.default
    elif not positional:
        words["required"] = True
    parser.add_argument(*names, **words)


def _help(known: Setting) -> str:
    """Return the description, with the unit and the default where they say something."""
    default = known.default
    told = not known.required and default not in (None, "", ()) and not isinstance(default, bool)
    text = known.text
    if told:
        shown = " ".join(map(str, default)) if known.many else default
        text += f" (default: {shown})"
    return text.replace("%", "%%")
