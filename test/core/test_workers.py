"""The same work for many items, in this process and in several; on a cluster: test/fleet."""

from __future__ import annotations

import sys

import pytest
from support.fleet import double, double_small

from pcan_model.cli.run import run
from pcan_model.core.workers import WorkerOptions


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_item_comes_with_its_result(jobs: int) -> None:
    assert dict(WorkerOptions(jobs=jobs).each(double, range(5))) == {k: 2 * k for k in range(5)}


def test_one_process_works_on_an_item_when_it_is_asked_for() -> None:
    seen: list[int] = []
    done = WorkerOptions().each(seen.append, [1, 2])
    next(done)
    assert seen == [1] and WorkerOptions().alone and not WorkerOptions(ray="local").alone


def test_an_error_in_another_process_is_raised_here() -> None:
    with pytest.raises(ValueError, match="expected a small number, got 3"):
        list(WorkerOptions(jobs=2).each(double_small, range(4)))


def test_a_missing_ray_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)

    def work(_: object) -> None:
        list(WorkerOptions(ray="local").each(double, [1]))

    assert run("pcan-evaluate", work, []) == 2
    expected = "pcan-evaluate: needs ray, which is not installed: pip install 'pcan_ros[fleet]'\n"
    assert capsys.readouterr().err == expected
