"""Measure time and memory of `pcan-evaluate` by number of sequences.

`python benchmarks/evaluation_growth.py --work /tmp/growth` renders short synthetic drives and evaluates 1, 2,
4, … 32 of them, each number twice: predicted and scored, and scored again from stored predictions.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
FIRST = 100_000  # seeds from here on are never trained on


def main() -> None:
    options = _options()
    from pcan_model.synthetic.drive import write_drives

    drives = options.work / "drives"
    write_drives(drives, range(FIRST, FIRST + max(options.counts)), length=options.length)
    names = sorted(path.stem for path in (drives / "labels").glob("*.json"))
    head = ("sequences", "frames", "answered, s", "peak, MB", "scored again, s", "peak, MB")
    print(f"| {' | '.join(head)} |", "|---" * len(head) + "|", sep="\n")
    for count in options.counts:
        out = options.work / "out"
        shutil.rmtree(out, ignore_errors=True)
        words = [str(options.model), "--engine", "onnx", "--data", str(drives), "--out", str(out)]
        words += ["--jobs", str(options.jobs), "--videos", *names[:count]]
        cells = [f"{n:.0f}" for _ in range(2) for n in _measure(words)]
        print(f"| {count} | {count * options.length} | {' | '.join(cells)} |", flush=True)


def _measure(words: list[str]) -> tuple[float, float]:
    """Run the command in a process of its own; returns seconds and its peak memory in MB."""
    begin = time.monotonic()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "pcan_model.cli.evaluate", *words],
        os.environ | {"PYTHONPATH": str(ROOT)},
        file_actions=[(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)],
    )
    _, status, usage = os.wait4(pid, 0)
    if status:
        sys.exit(f"pcan-evaluate {' '.join(words)}: ended with {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - begin, usage.ru_maxrss / 1024


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--work", type=Path, required=True, help="folder for drives and answers")
    add("--model", type=Path, default=ROOT / "models/pcan_street_tiny", help="exported model")
    counts = (1, 2, 4, 8, 16, 32)
    add("--counts", type=int, nargs="+", default=counts, help="numbers of sequences (default: 1 2 4 … 32)")
    add("--length", type=int, default=4, help="frames of each (default: 4)")
    add("--jobs", type=int, default=1, help="processes (default: 1)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
