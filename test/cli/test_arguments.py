"""Numbers on the command line, and commands that only render."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pcan_model.cli import ablate, attention, export, train
from pcan_model.cli import build_engine as build_command
from pcan_model.cli import drive as render
from pcan_model.cli.arguments import add_options, number, read_options
from pcan_model.cli.score import ScoreOptions
from pcan_model.core.fields import setting

NONSENSE: dict[Callable[[list[str]], int], tuple[list[str], list[str]]] = {
    train.main: (
        ["pcan_street_tiny", "--data", "nowhere"],
        ["batch 0", "iterations 0", "workers -1", "seed -1", "save-every 0", "log-every 0"],
    ),
    ablate.main: (
        ["3", "--dry-run"],
        ["seeds -1", "iterations -1", "drives 0", "held-out 0", "length 0", "workers -1"],
    ),
    attention.main: (
        ["nowhere", "--weights", "nowhere"],
        ["frames 0", "every 0", "until 0", "prototypes -1"],
    ),
    export.main: (["pcan_street_tiny", "--out", "nowhere"], ["cameras 0", "camera -1 64"]),
    build_command.main: (["nowhere"], ["workspace -1", "level 6"]),
}


@pytest.mark.parametrize(("low", "text"), [(1, "1"), (0, "7"), (0.0, "0.25")])
def test_a_number_is_read_in_the_kind_of_its_limit(low: float, text: str) -> None:
    value = number(type(low), low, None)(text)
    assert value == type(low)(text) and type(value) is type(low)


@pytest.mark.parametrize(
    ("low", "text"), [(1, "0"), (1, "-3"), (0, "1.5"), (0, "two"), (0.0, "nan"), (0.0, "-1")]
)
def test_any_other_is_refused_with_what_was_expected(low: float, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"expected a number from {low} up, got '{text}'"):
        number(type(low), low, None)(text)


@pytest.mark.parametrize(
    ("run", "words", "wrong"), [(run, words, one) for run, (words, all_) in NONSENSE.items() for one in all_]
)
def test_every_command_refuses_numbers_that_make_no_sense(
    run: Callable[[list[str]], int], words: list[str], wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    option, value, *more = wrong.split()
    with pytest.raises(SystemExit) as ended:
        run([*words, f"--{option}", value, *more])
    error = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2 and f"--{option}: " in error and value in error


@pytest.mark.parametrize("option", ["--ground-truth", "--truth"])
def test_an_alias_sets_the_same_field(option: str) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser, ScoreOptions)
    parsed = parser.parse_args(["--format", "coco", "--results", "r.json", option, "gt.json"])
    assert read_options(ScoreOptions, parsed).ground_truth == Path("gt.json")


def test_a_gpu_that_is_not_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert train.main(["pcan_street_tiny", "--data", "nowhere", "--device", "cuda"]) == 2
    assert capsys.readouterr().err.startswith("pcan-train: --device cuda: expected an NVIDIA GPU")


def test_a_file_is_no_folder_to_export_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("years")
    assert export.main(["pcan_street_tiny", "--out", str(tmp_path / "thesis.txt")]) == 2
    assert "thesis.txt: expected a new folder or an exported model" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "years"


def test_drives_that_cannot_be_written_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert render.main(["--out", str(tmp_path / "file"), "--count", "1", "--length", "1"]) == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("pcan-drive")]
    assert "Not a directory" in error or "File exists" in error


@dataclass(frozen=True)
class Words:
    """An option of several values with a default."""

    words: tuple[str, ...] = setting(("default",), "some words")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], ("default",)),
        (["--words", "a", "b"], ("a", "b")),
        (["--words", "a", "--words", "b"], ("a", "b")),
        (["--words"], ()),
    ],
)
def test_an_option_of_several_values_may_be_given_several_times(
    given: list[str], expected: tuple[str, ...]
) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser, Words)
    assert read_options(Words, parser.parse_args(given)).words == expected
