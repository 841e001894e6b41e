"""Jobs that are killed at random times, or whose disk is full or read-only, leave no incomplete files."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.reliability.jobs import IncompleteFile, Job, leftovers

ROOT = Path(__file__).resolve().parents[2]


@dataclass(slots=True)
class Damage:
    """Result of a job that was interrupted repeatedly."""

    name: str
    rounds: int = 0
    disturbed: int = 0  # rounds in which it did not end well
    faults: list[str] = field(default_factory=list)  # half-written, other results, tracebacks
    left: set[str] = field(default_factory=set)  # hidden files behind the end of the last run

    def text(self) -> str:
        """Return the result as text."""
        what = f"{self.name}: {self.rounds} rounds, {self.disturbed} disturbed, {len(self.faults)} faults"
        return "\n".join([f"{what}, {len(self.left)} hidden files left", *self.faults])


def run(job: Job, out: Path, largest: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run a job to its end; `largest` limits the size of a file, bytes."""
    limited = ["prlimit", f"--fsize={largest}"] if largest is not None else []
    command = [*limited, *job.command(out)]
    return subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False)


def kills(job: Job, folder: Path, rounds: int, seed: int = 0) -> Damage:
    """Kill a job at random times, finish it, and compare the result with an uninterrupted run."""
    found, draw = Damage(job.name), random.Random(seed)
    began = time.monotonic()
    wanted = _whole(job, folder / "undisturbed")
    usual = time.monotonic() - began
    for number in range(rounds):
        out = folder / f"killed{number}" / "out"
        out.parent.mkdir(parents=True)
        found.disturbed += _kill(job, out, draw.uniform(0.2, 0.9) * usual)
        _close(job, out, wanted, found)
    return found


def full_disk(job: Job, folder: Path, sizes: list[int]) -> Damage:
    """Run a job with a limit on the file size, in bytes for each round, then without a limit."""
    found, wanted = Damage(job.name), _whole(job, folder / "undisturbed")
    for number, size in enumerate(sizes):
        out = folder / f"full{number}" / "out"
        out.parent.mkdir(parents=True)
        done = run(job, out, size)
        _judge(done, found)
        _close(job, out, wanted, found)
    return found


@contextlib.contextmanager
def small_disk(folder: Path, size: int, options: str = "rw") -> Iterator[Path]:
    """Yield a disk with that many bytes; raises OSError if this user may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},{options}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        raise OSError("a small disk needs root: mount -t tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def on_small_disk(job: Job, folder: Path, size: int, options: str = "rw") -> Damage:
    """Run a job whose output is on a disk that is too small or read-only."""
    found = Damage(job.name)
    with small_disk(folder / f"{job.name}_{options}", size, options) as disk:
        done = run(job, disk / "out")
        _judge(done, found)
        with _noting(found):
            job.check(disk / "out")
        found.rounds += 1
    return found


def _whole(job: Job, folder: Path) -> Any:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    done = run(job, folder / "out")
    if done.returncode:
        raise RuntimeError(f"{job.name} ends with {done.returncode}: {done.stderr[-500:]}")
    return job.result(folder / "out")


def _kill(job: Job, out: Path, after: float) -> bool:
    """Kill a job and its child processes after some seconds; returns False if it had finished before."""
    process = subprocess.Popen(
        job.command(out), cwd=ROOT, env=_environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after)
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True


def _judge(done: subprocess.CompletedProcess[str], found: Damage) -> None:
    """Record a run that failed with more than one line, or by a signal."""
    found.disturbed += done.returncode != 0
    lines = [line for line in done.stderr.replace("\r", "\n").splitlines() if line.startswith("pcan-")]
    if (
        "Traceback" in done.stderr
        or done.returncode not in (0, 1, 2)
        or (done.returncode == 2) != (len(lines) == 1)
    ):
        found.faults.append(f"exit code {done.returncode}: {done.stderr[-600:]}")


def _close(job: Job, out: Path, wanted: Any, found: Damage) -> None:
    """Check the files, finish the job, and compare the result."""
    found.rounds += 1
    with _noting(found):
        job.check(out)
        done = run(job, out)
        if done.returncode:
            raise IncompleteFile(f"could not resume: {done.stderr[-500:]}")
        if job.result(out) != wanted:
            raise IncompleteFile(f"{out}: another result than undisturbed")
    found.left |= set(leftovers(out.parent))
    if not found.faults:
        shutil.rmtree(out.parent)


@contextlib.contextmanager
def _noting(found: Damage) -> Iterator[None]:
    try:
        yield
    except (IncompleteFile, OSError, ValueError, KeyError) as error:
        found.faults.append(f"{type(error).__name__}: {error}")


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": path}
