"""What a field says of itself, and which values it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from pcan_model.core.fields import about, faults, setting, settings_of, share


@dataclass(frozen=True, slots=True)
class Record:
    folder: Path = field(metadata=about("folder to write"))
    kind: Literal["a", "b"] = setting("a", "one of two")
    rate: float = setting(0.5, "of something", unit="Hz", low=0.1)
    levels: tuple[int, ...] = setting((3,), "pyramid levels", low=2, high=5)
    part: float | None = setting(None, "perhaps", high=1.0)
    weight: float = share(0.2, "of the old", runtime=True)
    plain: int = 3


def test_a_field_keeps_type_default_limits_and_choices() -> None:
    known = settings_of(Record)
    assert list(known) == ["folder", "kind", "rate", "levels", "part", "weight"], (
        "plain says nothing of itself"
    )
    assert known["folder"].required and not known["kind"].required
    assert (known["kind"].kind, known["kind"].choices) == (str, ("a", "b"))
    assert (known["levels"].many, known["levels"].kind, known["levels"].range) == (True, int, "2 to 5")
    assert (known["part"].optional, known["part"].kind) == (True, float)
    assert (known["weight"].low, known["weight"].high, known["weight"].runtime) == (0.0, 1.0, True)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, []),
        ({"kind": "c"}, ["kind: expected one of a, b; got 'c'"]),
        ({"rate": 0.0}, ["rate: expected at least 0.1, got 0.0"]),
        ({"rate": float("nan")}, ["rate: expected at least 0.1, got nan"]),
        ({"levels": (3, 6)}, ["levels: expected 2 to 5, got 6"]),
        (
            {"part": 2.0, "weight": -1.0},
            ["part: expected at most 1.0, got 2.0", "weight: expected 0.0 to 1.0, got -1.0"],
        ),
    ],
)
def test_what_does_not_fit_is_named_with_what_was_expected(
    values: dict[str, object], expected: list[str]
) -> None:
    assert list(faults(Record(Path("x"), **values))) == expected  # type: ignore[arg-type]
