"""Measure throughput and memory of an evaluation on a Ray cluster on this machine.

`python benchmarks/fleet.py --work /tmp/fleet` renders synthetic drives, repeats them as clips, and tracks
them on clusters of one and of two nodes with a core each. The time is that of the second half of the clips,
when every worker has loaded the model; the memory is the resident one of this process and of the largest
worker, after half of the clips and after all.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from copy import copy
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> None:
    options = _options()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ["PYTHONPATH"] = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    import ray
    from ray.cluster_utils import Cluster

    from pcan_model.data.registry import open_clips
    from pcan_model.synthetic.drive import write_drives

    write_drives(options.work / "drives", range(100_000, 100_004), length=options.length)
    drives = open_clips(options.work / "drives")
    clips = []
    for k in range(options.clips):
        clip = copy(drives[k % len(drives)])
        clip.name = f"clip{k}"
        clips.append(clip)
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    head = ("nodes", "frames/s", "driver, MB", "largest worker, MB")
    print(f"| {' | '.join(head)} |", "|---" * len(head) + "|", sep="\n")
    for nodes in options.nodes:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        for _ in range(nodes - 1):
            cluster.add_node(num_cpus=1)
        ray.init(cluster.address, log_to_driver=False)
        cells = _measure(str(options.model), clips)
        print(f"| {nodes} | {' | '.join(cells)} |", flush=True)
        ray.shutdown()
        cluster.shutdown()


def _measure(model: str, clips: list) -> list[str]:  # type: ignore[type-arg]
    from functools import partial

    from pcan_model.core.workers import WorkerOptions
    from pcan_model.evaluation.run import _predict
    from pcan_model.evaluation.setup import Setup

    work, half = partial(_work, partial(_predict, Setup.open, Setup(model, "onnx"))), len(clips) // 2
    begun, frames, memory, workers = 0.0, 0, [], 0.0
    for number, (clip, resident) in enumerate(WorkerOptions(ray="auto").each(work, clips), start=1):
        workers = max(workers, resident)
        frames += len(clip) if number > half else 0
        if number == half:
            begun = time.monotonic()
        if number in (half, len(clips)):
            memory.append((_resident(), workers))
    rate = frames / (time.monotonic() - begun)
    return [
        f"{rate:.2f}",
        *(" → ".join(f"{each:.0f}" for each in pair) for pair in zip(*memory, strict=True)),
    ]


def _work(predict, clip) -> float:  # type: ignore[no-untyped-def]
    """Track a clip; returns the resident memory of the worker in MB."""
    predict(clip)
    return _resident()


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--work", type=Path, required=True, help="folder for the drives")
    add("--model", type=Path, default=ROOT / "models/pcan_street", help="exported model")
    add("--nodes", type=int, nargs="+", default=(1, 2), help="numbers of nodes (default: 1 2)")
    add("--clips", type=int, default=24, help="clips (default: 24)")
    add("--length", type=int, default=4, help="frames of each (default: 4)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
