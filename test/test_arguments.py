"""Numbers on the command line, and commands that only render."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from pcan_model.arguments import at_least
from pcan_model.synthetic import render


@pytest.mark.parametrize(("low", "text"), [(1, "1"), (0, "7"), (0.0, "0.25")])
def test_a_number_is_read_in_the_kind_of_its_limit(low: float, text: str) -> None:
    value = at_least(low)(text)
    assert value == type(low)(text) and type(value) is type(low)


@pytest.mark.parametrize(
    ("low", "text"), [(1, "0"), (1, "-3"), (0, "1.5"), (0, "two"), (0.0, "nan"), (0.0, "-1")]
)
def test_any_other_is_refused_with_what_was_expected(low: float, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"expected a number from {low} up, got '{text}'"):
        at_least(low)(text)


def test_drives_that_cannot_be_written_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert render.main(["--out", str(tmp_path / "file"), "--count", "1", "--length", "1"]) == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("pcan-drive")]
    assert "Not a directory" in said or "File exists" in said
