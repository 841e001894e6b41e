"""One way to fail: a line on stderr, and an exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcan_model.cli.run import run
from pcan_model.core.errors import DataError, UserError


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("a: expected b, got c"), 2, "a: expected b, got c"),
        (DataError(Path("f"), "k", "b", "c"), 2, "f: k: expected b, got c"),
        (
            FileNotFoundError(2, "No such file or directory", "f"),
            2,
            "[Errno 2] No such file or directory: 'f'",
        ),
        (ValueError("two\n  lines"), 2, "two; lines"),
        (ValueError(), 2, "ValueError"),
        (ImportError("scores need trackeval"), 2, "scores need trackeval"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_an_error_to_mend_is_one_line(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(_: object) -> None:
        raise error

    assert run("pcan-x", work, []) == code
    assert capsys.readouterr().err == f"pcan-x: {line}\n"


@pytest.mark.parametrize(
    ("package", "install"),
    [
        ("torch", "make train-env"),
        ("rclpy.serialization", "source a ROS 2 distribution"),
        ("openvino", "pip install 'pcan_ros[openvino]'"),
        ("rosbags", "pip install rosbags"),
        ("trackeval", "--no-deps trackeval"),
    ],
)
def test_a_missing_package_is_one_line_that_says_what_to_install(
    package: str, install: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(_: object) -> None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    assert run("pcan-x", work, []) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"pcan-x: needs {package.partition('.')[0]}, which is not installed: ")
    assert install in error and error.count("\n") == 1


def test_a_mistake_of_ours_is_not_hidden() -> None:
    def broken(_: object) -> None:
        raise KeyError("of ours")

    def misspelt(_: object) -> None:
        raise ModuleNotFoundError("No module named 'pcan_model.cor'", name="pcan_model.cor")

    for work, kind in ((broken, KeyError), (misspelt, ModuleNotFoundError)):
        with pytest.raises(kind):
            run("pcan-x", work, [])


def test_work_decides_the_exit_code_and_gets_the_words() -> None:
    assert run("pcan-x", lambda words: len(words), ["a", "b", "c"]) == 3
    assert run("pcan-x", lambda words: None, []) == 0
