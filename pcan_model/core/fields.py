"""Metadata of dataclass fields: default, unit, description, limits and choices.

Checks of YAML files, ROS parameter descriptors, command-line options and the parameter tables are all
generated from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
KEY = "about"  # of a field's metadata


@dataclass(frozen=True, slots=True)
class About:
    """Metadata of a field beyond its type."""

    description: str
    unit: str = ""  # empty for counts and shares
    low: float | None = None  # minimum; for a tuple, of each element
    high: float | None = None  # maximum, inclusive
    choices: tuple[str, ...] = ()  # allowed values, unless the type is a Literal
    runtime: bool = False  # can be changed while the node runs
    aliases: tuple[str, ...] = ()  # further command-line options for the field, such as "--truth"
    writes: bool = False  # the path of a file or folder to write


def about(
    description: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
    writes: bool = False,
) -> dict[str, About]:
    """Return the metadata of a field without default: `field(metadata=about("..."))`."""
    return {KEY: About(description, unit, low, high, choices, aliases=aliases, writes=writes)}


def setting(
    default: T,
    description: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    runtime: bool = False,
    aliases: tuple[str, ...] = (),
    writes: bool = False,
) -> T:
    """Return a dataclass field with a default and the metadata of `About`."""
    known = About(description, unit, low, high, choices, runtime, aliases, writes)
    described: T = field(default=default, metadata={KEY: known})
    return described


def share(default: float, description: str, *, runtime: bool = False) -> float:
    """Return a field with a value in [0, 1]."""
    return setting(default, description, low=0.0, high=1.0, runtime=runtime)


@dataclass(frozen=True, slots=True)
class Setting:
    """A field with its type, default and metadata."""

    name: str
    kind: Any  # bool, int, float, str, Path or a dataclass; for a tuple, the type of its elements
    default: Any  # MISSING if required
    description: str
    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    runtime: bool
    aliases: tuple[str, ...]
    writes: bool
    optional: bool  # may be None
    many: bool  # a tuple
    length: int | None  # of a tuple; None if variable

    @property
    def required(self) -> bool:
        """Return whether there is no default."""
        return self.default is MISSING

    @property
    def text(self) -> str:
        """Return the description with the unit."""
        return f"{self.description}{f' ({self.unit})' if self.unit else ''}"

    @property
    def range(self) -> str:
        """Return the limits in words; empty without limits."""
        if self.low is not None and self.high is not None:
            return f"{self.low} to {self.high}"
        if self.low is not None:
            return f"at least {self.low}"
        return "" if self.high is None else f"at most {self.high}"

    def fault(self, value: Any) -> str | None:
        """Return `expected …, got …` for an invalid value, else None."""
        if value is None and self.optional:
            return None
        for item in value if self.many else (value,):
            if self.choices and item not in self.choices:
                return f"expected one of {', '.join(self.choices)}; got {item!r}"
            if self.range and not self._inside(item):
                return f"expected {self.range}, got {item}"
        return None

    def _inside(self, value: float) -> bool:
        """Return whether a number is within the limits; NaN is not."""
        low = -float("inf") if self.low is None else self.low
        return low <= value <= (float("inf") if self.high is None else self.high)


def settings_of(kind: type) -> dict[str, Setting]:
    """Return the fields of a dataclass that have metadata, by name, in their order."""
    return _settings(kind)


@cache
def _settings(kind: Any) -> dict[str, Setting]:
    hints = get_type_hints(kind)
    return {f.name: _setting(f.name, hints[f.name], f) for f in fields(kind) if KEY in f.metadata}


def faults(record: Any) -> Iterator[str]:
    """Yield `name: expected ..., got ...` for every invalid field of a dataclass."""
    for name, known in settings_of(type(record)).items():
        fault = known.fault(getattr(record, name))
        if fault:
            yield f"{name}: {fault}"


def _setting(name: str, hint: Any, entry: Any) -> Setting:
    known: About = entry.metadata[KEY]
    kind, optional = _without_none(hint)
    many, length = get_origin(kind) is tuple, None
    if many:
        kinds = get_args(kind)
        kind, length = kinds[0], None if Ellipsis in kinds else len(kinds)
    choices = known.choices
    if get_origin(kind) is Literal:
        kind, choices = str, get_args(kind)
    return Setting(
        name=name,
        kind=kind,
        default=entry.default,
        description=known.description,
        unit=known.unit,
        low=known.low,
        high=known.high,
        choices=choices,
        runtime=known.runtime,
        aliases=known.aliases,
        writes=known.writes,
        optional=optional,
        many=many,
        length=length,
    )


def _without_none(hint: Any) -> tuple[Any, bool]:
    """Return a type without its `| None`, and whether it had one."""
    if get_origin(hint) not in (Union, UnionType):
        return hint, False
    (kind,) = (each for each in get_args(hint) if each is not NoneType)
    return kind, True
