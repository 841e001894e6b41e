"""Measure reliability: `python -m benchmarks.reliability tracks`; figures are in docs/reliability.md.

Each measurement prints its figures and ends with 1 where something is lost, half-written or growing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.reliability.damage import Damage
    from benchmarks.reliability.incidents import Outcome
    from benchmarks.reliability.jobs import Job

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "test")]  # the small models and the scripted engine are the tests' own

from benchmarks.reliability.measures import Clock, milliseconds  # noqa: E402

GROWTH = 8.0  # MB of resident memory after the warm-up; a leak of a small image for each of 1000 is 18 MB


def tracks(options: argparse.Namespace) -> bool:
    """Track a long drive; no identity may be assigned twice."""
    from benchmarks.reliability.tracks import drive

    done = drive(options.frames)
    print(f"{done.frames} frames: {done.identities} identities, {done.reused} given twice")
    print(done.readings.text())
    return not done.reused and done.identities > 0 and done.readings.growth < GROWTH


def load(options: argparse.Namespace) -> bool:
    """Send images of several cameras faster than the node can process them; none may be lost uncounted."""
    from benchmarks.reliability.load import overload

    with squares() as model:
        done = overload(model, options.images, options.cameras, options.factor)
    print(
        f"{done.cameras} cameras of 96 x 64; one image at a time, {done.capacity:.0f} images/s are answered"
    )
    print(f"{done.sent} images sent at {done.rate:.0f} images/s: {done.received} received,")
    print(f"{done.processed} tracked, {done.dropped} dropped, {done.bad} bad, {done.unaccounted} in no count")
    print(f"latency of what was tracked: {milliseconds(done.latencies)}")
    print(done.readings.text())
    return not (done.unaccounted or done.bad or done.code) and done.readings.growth < GROWTH


def incidents(options: argparse.Namespace) -> bool:
    """Cameras that disappear and return, stamps and clocks that jump, images that change."""
    from benchmarks.reliability.incidents import changing

    with squares() as model:
        return _show(changing(model, options.rounds))


def lifecycle(options: argparse.Namespace) -> bool:
    """Deactivate, clean up, configure and activate the node."""
    from benchmarks.reliability.incidents import lifecycle as cycle

    with squares() as model:
        return _show(cycle(model, options.cycles))


def _show(done: Outcome) -> bool:
    print(f"{done.rounds} rounds: {done.answered} of {done.expected} images tracked; exit code {done.code}")
    print(f"from sending to the answer: {milliseconds(done.waits)}")
    print(done.readings.text())
    passed = done.answered == done.expected and not done.code and "Traceback" not in done.log
    return passed and done.readings.growth < GROWTH


def kills(options: argparse.Namespace) -> bool:
    """Kill jobs at random times and resume them."""
    from benchmarks.reliability.damage import kills as kill

    return _each(lambda job, folder: kill(job, folder, options.rounds))


def disks(options: argparse.Namespace) -> bool:
    """Run jobs on full and on read-only disks."""
    from benchmarks.reliability import damage

    sizes = [step * options.bytes // 8 for step in range(9)]
    passed = _each(lambda job, folder: damage.full_disk(job, folder, sizes))
    passed &= _each(lambda job, folder: damage.on_small_disk(job, folder, 64 << 10))
    return passed & _each(lambda job, folder: damage.on_small_disk(job, folder, 1 << 20, "ro"))


def _each(disturb: Callable[[Job, Path], Damage]) -> bool:
    """Interrupt every job; returns whether there were no faults."""
    from benchmarks.reliability.jobs import jobs

    passed = True
    with TemporaryDirectory() as place:
        for job in jobs(Path(place)):
            done = disturb(job, Path(place) / job.name)
            print(done.text(), flush=True)
            passed &= not done.faults
    return passed


@contextmanager
def squares() -> Iterator[Path]:
    """Yield the folder of the tests' model, which finds coloured squares."""
    from support.squares import export_squares

    with TemporaryDirectory() as folder:
        yield export_squares(Path(folder) / "squares")


COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], bool], dict[str, int]]] = {
    "load": (load, {"images": 100_000, "cameras": 4, "factor": 4}),
    "incidents": (incidents, {"rounds": 200}),
    "lifecycle": (lifecycle, {"cycles": 1000}),
    "kills": (kills, {"rounds": 20}),
    "disks": (disks, {"bytes": 40_000}),
    "tracks": (tracks, {"frames": 1_000_000}),
}


def main() -> int:
    """Run one measurement; returns the exit code."""
    parser = argparse.ArgumentParser("python -m benchmarks.reliability", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (work, numbers) in COMMANDS.items():
        command = commands.add_parser(name, help=work.__doc__)
        for option, default in numbers.items():
            command.add_argument(f"--{option}", type=int, default=default)
    options, clock = parser.parse_args(), Clock()
    passed = COMMANDS[options.command][0](options)
    print(f"{'passed' if passed else 'NOT SOUND'}, in {clock.text()}")
    return not passed


if __name__ == "__main__":
    sys.exit(main())
