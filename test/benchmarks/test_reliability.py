"""The measurements of docs/reliability.md in short: what they count, and what the node promises, holds."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.squares import export_squares

from benchmarks.reliability.measures import Readings, milliseconds
from benchmarks.reliability.tracks import Identities, drive
from pcan_model.core.structures import Tracks

ROOT = Path(__file__).resolve().parents[2]


def test_no_identity_is_given_twice_on_a_long_drive() -> None:
    done = drive(1500)
    assert done.identities > 100 and done.reused == 0 and done.readings.growth < 8


def test_an_identity_that_comes_back_is_counted() -> None:
    from support.scripted_engine import ScriptedEngine, Thing, blank

    from pcan_model.tracking.tracker import Tracker

    identities = Identities()
    for _ in range(2):  # a tracker that starts anew gives its first identity again
        tracker = Tracker(ScriptedEngine([[Thing(1, (5, 5, 20, 20))]]))
        _, tracks = tracker.step(tracker.start(), blank(1.0))
        identities.note(tracks)
        identities.note(Tracks(1.1, 64, 96, 1, ()))
    assert (identities.highest, identities.reused) == (1, 1)


def test_memory_that_grows_is_seen_and_percentiles_are_those_of_the_times() -> None:
    readings = Readings(os.getpid())
    readings.take(0)
    assert readings.taken[0].resident > 10 and readings.taken[0].threads >= 1
    first = replace(readings.taken[0], resident=100.0)
    grown = Readings(1, taken=[replace(first, step=k, resident=100.0 + 20 * k) for k in range(11)])
    assert grown.growth == pytest.approx(180), "from the first reading after a tenth of the work"
    assert "open files" in grown.text() and "+180.0 MB" in grown.text()
    assert milliseconds([k / 1000 for k in range(101)]) == "50.0 / 99.0 / 100.0 ms (p50 / p99 / max)"


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("rclpy")
    return export_squares(tmp_path_factory.mktemp("squares"))


def test_every_image_of_an_overload_is_tracked_dropped_or_bad(squares: Path) -> None:
    from benchmarks.reliability.load import overload

    done = overload(squares, images=400, cameras=4, factor=4)
    assert done.unaccounted == done.bad == done.code == 0
    assert 200 <= done.processed <= done.received <= done.sent == 600
    assert len(done.latencies) > 0 and max(done.latencies) < 5


def test_cameras_that_vanish_jump_and_change_are_tracked_on(squares: Path) -> None:
    from benchmarks.reliability.incidents import changing

    done = changing(squares, 1)
    assert (done.answered, done.expected, done.code) == (14, 14, 0), done.log
    assert "Traceback" not in done.log and "time went back by" in done.log


def test_the_node_survives_its_lifecycle(squares: Path) -> None:
    from benchmarks.reliability.incidents import lifecycle

    done = lifecycle(squares, 5)
    assert (done.answered, done.expected, done.code) == (5, 5, 0), done.log
    first, last = done.readings.taken[0], done.readings.taken[-1]
    assert (first.threads, first.files) == (last.threads, last.files)


@pytest.mark.parametrize("name", ["label", "build"])
def test_a_job_on_a_full_disk_is_one_line_and_ends_the_same_with_room(tmp_path: Path, name: str) -> None:
    pytest.importorskip("rclpy")
    if name == "build":
        pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: make env")
    from benchmarks.reliability.damage import full_disk
    from benchmarks.reliability.jobs import jobs

    (job,) = (job for job in jobs(tmp_path, images=40) if job.name == name)
    done = full_disk(job, tmp_path / "work", [3000])
    assert (done.rounds, done.disturbed, done.faults, done.left) == (1, 1, [], set())


def test_the_command_names_its_measurements() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.reliability", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in ("load", "incidents", "lifecycle", "kills", "disks", "tracks"):
        assert f"\n    {name} " in run.stdout
