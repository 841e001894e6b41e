"""Command-line options generated from dataclass fields."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pcan_model.core import storage
from pcan_model.core.fields import Setting, settings_of

Number = TypeVar("Number", int, float)
Record = TypeVar("Record")


def command_parser(program: str, explanation: str, epilog: str | None = None) -> argparse.ArgumentParser:
    """Return a parser whose help keeps the line breaks of the explanation."""
    return argparse.ArgumentParser(
        program,
        description=explanation,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def number(kind: type[Number], low: float | None, high: float | None) -> Callable[[str], Number]:
    """Return an argparse type for numbers between two limits, inclusive."""
    expected = f"a number from {low} {'up' if high is None else f'to {high}'}"
    if low is None:
        expected = "a number" if high is None else f"a number up to {high}"

    def read(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            value = None
        bottom, top = (-float("inf") if low is None else low), (float("inf") if high is None else high)
        if value is None or not bottom <= value <= top:  # also for NaN
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
    """Add an option for every field of a dataclass that has metadata.

    only        names of fields; empty for all
    positional  names of fields that become positional arguments
    metavars    placeholder of the value in the help, by field name
    """
    metavars = metavars or {}
    for name, entry in settings_of(kind).items():
        if name not in skip and (not only or name in only):
            _add(parser, entry, metavars.get(name), positional=name in positional)


def read_options(kind: type[Record], parsed: argparse.Namespace, **others: Any) -> Record:
    """Return the dataclass with the values of its parsed options; `others` are passed on unchanged."""
    values = {name: getattr(parsed, name) for name in settings_of(kind) if hasattr(parsed, name)}
    here = {name: _here(entry, values[name]) for name, entry in settings_of(kind).items() if name in values}
    return kind(**here | others)


def _here(entry: Setting, value: Any) -> Any:
    """Return a value with local paths in place of addresses such as s3://…; lists become tuples."""
    if isinstance(value, list):
        return tuple(_here(entry, each) for each in value)
    if not isinstance(value, str) or entry.kind not in (str, Path):
        return value
    return entry.kind(storage.replaced(value, storage.staged if entry.writes else storage.fetch))


def _add(parser: Any, entry: Setting, metavar: str | tuple[str, ...] | None, *, positional: bool) -> None:
    option = f"--{entry.name.rstrip('_').replace('_', '-')}"  # a field `from_` is the option --from
    names = [entry.name] if positional else [option, *entry.aliases]
    keywords: dict[str, Any] = {"help": _help(entry)} | ({} if positional else {"dest": entry.name})
    if entry.kind is bool:
        action = argparse.BooleanOptionalAction if entry.default else "store_true"
        parser.add_argument(*names, action=action, default=entry.default, **keywords)
        return
    if entry.choices:
        keywords["choices"] = entry.choices
    elif entry.kind in (int, float):
        keywords["type"] = number(entry.kind, entry.low, entry.high)
    elif entry.kind is Path:
        keywords["type"] = _path
    if entry.many:
        keywords["nargs"] = entry.length or ("+" if entry.required or entry.optional else "*")
        if not positional and not entry.length:
            keywords["action"] = _Gather
    elif positional and not entry.required:
        keywords["nargs"] = "?"
    if metavar or entry.unit:
        keywords["metavar"] = metavar or entry.unit.upper()
    if not entry.required:
        keywords["default"] = entry.default
    elif not positional:
        keywords["required"] = True
    parser.add_argument(*names, **keywords)


def _path(text: str) -> Path | str:
    """Return a path, or an address unchanged."""
    return text if storage.is_address(text) else Path(text)


class _Gather(argparse.Action):
    """Collects the values of an option that is given several times."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [*(() if before is self.default else before), *values])


def _help(entry: Setting) -> str:
    """Return the description with unit and default, if there are any."""
    default, text = entry.default, entry.text
    if not entry.required and default not in (None, "", ()) and not isinstance(default, bool):
        text += f" (default: {' '.join(map(str, default)) if entry.many else default})"
    return text.replace("%", "%%")
