"""Profile an exported frame pass in ONNX Runtime on one thread: milliseconds of each kind of operator.

    python benchmarks/profile_graph.py models/pcan_street --size 576x1024

Images are a synthetic drive, the memory is carried along. The first quartile of the runs counts: the runtime
measures wall time, and on a busy machine some runs of an operator are interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np
import onnxruntime as ort

from benchmarks.engines import images
from pcan_model.core.geometry import fit_image
from pcan_model.inference.manifest import ModelFiles

KERNEL = "_kernel_time"


def profile(files: ModelFiles, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of every node, by kind of operator."""
    with TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.enable_profiling = 1, True
        options.profile_file_prefix = f"{folder}/frame"
        session = ort.InferenceSession(str(files.graph("frame")), options, providers=["CPUExecutionProvider"])
        names = [value.name for value in session.get_outputs()]
        feed: dict[str, Any] = {
            value.name: np.zeros(value.shape, np.float32)
            for value in session.get_inputs()
            if value.name != "image"
        }
        for jpeg in images(files.folder, rounds):
            image = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR_RGB), np.uint8)
            feed["image"] = fit_image(image.shape, files.config.input).apply(image)[None]
            out = dict(zip(names, session.run(None, feed), strict=True))
            feed |= {name: out[f"{name}_next"] for name in feed if f"{name}_next" in out}
        events = json.loads(Path(session.end_profiling()).read_text())
    return by_operator(events)


def by_operator(events: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Return the first quartile of every node's milliseconds, by kind of operator."""
    nodes, kinds = defaultdict[str, list[float]](list), dict[str, str]()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(KERNEL):
            nodes[event["name"]].append(event["dur"] / 1e3)
            kinds[event["name"]] = event["args"]["op_name"]
    found = defaultdict[str, list[float]](list)
    for name, times in nodes.items():
        found[kinds[name]].append(float(np.quantile(times, 0.25)))
    return found


def main() -> None:
    """Print the kinds of operators by time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="folder of pcan-export")
    parser.add_argument("--size", default="", help="input size, such as 384x640")
    parser.add_argument("--rounds", type=int, default=16, help="frames (default: 16)")
    options = parser.parse_args()
    found = profile(ModelFiles(options.model, options.size), options.rounds)
    total = sum(map(sum, found.values()))
    print(
        f"| operator | nodes | ms |\n|---|---|---|\n| all | {sum(map(len, found.values()))} | {total:.1f} |"
    )
    for kind, times in sorted(found.items(), key=lambda item: -sum(item[1])):
        if sum(times) >= 0.005 * total:
            print(f"| {kind} | {len(times)} | {sum(times):.1f} |")


if __name__ == "__main__":
    main()
