"""What a dataclass field says about itself: default, unit, description, limits and choices.

The checks of YAML files, ROS parameter descriptors, command-line options and the tables of parameters are
all made from it, so that each of these stands in one place: on the field.
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
    """What a type cannot tell about a field."""

    description: str
    unit: str = ""  # where it is neither a count nor a share
    low: float | None = None  # least value; of a tuple, of each element
    high: float | None = None  # greatest value, included
    choices: tuple[str, ...] = ()  # beside those of a Literal type
    runtime: bool = False  # a node may be given another value while it runs


def about(
    description: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> dict[str, About]:
    """Return the metadata of a field without default: `field(metadata=about("..."))`."""
    return {KEY: About(description, unit, low, high, choices)}


def setting(
    default: T,
    description: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    runtime: bool = False,
) -> T:
    """Return a dataclass field with its default, and what `About` keeps."""
    known = About(description, unit, low, high, choices, runtime)
    described: T = field(default=default, metadata={KEY: known})
    return described


def share(default: float, description: str, *, runtime: bool = False) -> float:
    """Return a field whose value is in [0, 1]."""
    return setting(default, description, low=0.0, high=1.0, runtime=runtime)


@dataclass(frozen=True, slots=True)
class Setting:
    """One field with all that is known about it."""

    name: str
    kind: Any  # bool, int, float, str, Path or a dataclass; of a tuple, of its elements
    default: Any  # MISSING where a value must be given
    description: str
    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    runtime: bool
    optional: bool  # None is a value
    many: bool  # a tuple
    length: int | None  # of a tuple; None: any

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
        """Return the limits in words, empty where there are none."""
        if self.low is not None and self.high is not None:
            return f"{self.low} to {self.high}"
        if self.low is not None:
            return f"at least {self.low}"
        return "" if self.high is None else f"at most {self.high}"

    def fault(self, value: Any) -> str | None:
        """Return what was expected and what was got where a value does not fit, else None."""
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
    """Return the described fields of a dataclass by name, in their order."""
    return _settings(kind)


@cache
def _settings(kind: Any) -> dict[str, Setting]:
    hints = get_type_hints(kind)
    return {f.name: _setting(f.name, hints[f.name], f) for f in fields(kind) if KEY in f.metadata}


def faults(record: Any) -> Iterator[str]:
    """Yield `name: expected ..., got ...` for every field of a dataclass whose value does not fit."""
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
