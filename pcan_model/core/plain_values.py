"""Conversion of dataclasses to nested plain values, as in YAML and JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints


class PlainValueError(ValueError):
    """A value of the wrong type, or an unknown key."""


def to_plain(value: Any) -> Any:
    """Return dictionaries, lists and numbers that `from_plain` turns into the same dataclass."""
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    return [to_plain(item) for item in value] if isinstance(value, tuple) else value


def from_plain(kind: Any, values: Any, where: str) -> Any:
    """Build a dataclass; raises PlainValueError starting with `where` and the key.

    Integers are accepted for floats, and lists for tuples.
    """
    if not isinstance(values, dict):
        raise PlainValueError(f"{where}: expected keys and values, got {values!r}")
    hints = _hints(kind)
    unknown = set(values) - {f.name for f in fields(kind)}
    if unknown:
        key = min(unknown, key=str)
        raise PlainValueError(f"{where}: {key}: expected one of {sorted(hints)}, got an unknown key")
    return kind(**{key: _value(hints[key], value, f"{where}: {key}") for key, value in values.items()})


def renamed(values: dict[str, Any], names: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values under their current names, and the old names that were found.

    names  old to current name; of a value given under both, the current one is used
    """
    old = {key: names[key] for key in values if key in names}
    return {**{names.get(key, key): value for key, value in values.items()}, **_current(values, old)}, old


def _current(values: dict[str, Any], old: Mapping[str, str]) -> dict[str, Any]:
    return {new: values[new] for new in old.values() if new in values}


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _value(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind):
        return from_plain(kind, value, where)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    origin = get_origin(kind) or kind
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_value(get_args(kind)[0], item, where) for item in value)
    if origin is Literal:
        origin = kind = str  # the choice is checked with the configuration
    if not isinstance(value, kind if origin is kind else tuple):
        raise PlainValueError(f"{where}: expected {getattr(kind, '__name__', kind)}, got {value!r}")
    if kind is int and isinstance(value, bool):
        raise PlainValueError(f"{where}: expected int, got {value!r}")
    return value
