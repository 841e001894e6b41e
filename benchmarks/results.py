"""Compute all rows of docs/results.md: a model and two baselines on each set of clips.

`python benchmarks/results.py --work /tmp/results` prints the table for models/pcan_street_tiny; what was
answered before is used again. The rows:

  as it is                          --engine onnx
  SortIoU                           --engine onnx --association sort_iou
  without frame_attention and instance_attention   --engine torch --without …, which no exported graph can

Torch and ONNX Runtime agree (test/export/test_export.py). One process, one thread; peak memory is the whole
process's, which for torch holds torch. Reports with images are below --work.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRST, DRIVES = 100_000, 8  # seeds that no training draws
HEAD = (
    *("clips", "variant", "HOTA", "DetA", "AssA", "sMOTSA", "MOTSA", "IDF1", "IDSw"),
    *("mMOTSA", "mMOTSP", "mIDF1"),
    *("frames/s", "p50 ms", "p95 ms", "peak MB"),
)  # fmt: skip


def main() -> None:
    options = _options()
    drives = options.work / "drives"
    command = ["pcan_model.cli.drive", "--out", str(drives), "--first", str(FIRST)]
    _run([*command, "--count", str(DRIVES), "--length", str(options.length)])
    sets = {
        "BDD100K 00091078": ["--data", str(options.shared / "bdd100k_mots_00091078_6f")],
        "street highway_test": ["--data", str(options.shared / "street"), "--videos", "highway_test"],
        f"{DRIVES} synthetic drives": ["--data", str(drives)],
    }
    print(f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|", sep="\n")
    for name, data in sets.items():
        for variant, words in _variants(options):
            out = options.work / f"{name} {variant}".replace(" ", "_")
            _run(["pcan_model.cli.evaluate", *words, *data, "--out", str(out)])
            print(f"| {name} | {variant} | {' | '.join(_cells(out / 'report.json'))} |", flush=True)


def _variants(options: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    onnx = [str(options.model), "--engine", "onnx"]
    torch = [options.config, "--weights", str(options.model / "weights.safetensors")]
    yield "as it is", onnx
    yield "SortIoU", [*onnx, "--association", "sort_iou"]
    yield "without both modules", [*torch, "--without", "frame_attention", "instance_attention"]


def _run(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(f"python -m {' '.join(words)}: ended with {done.returncode}")


def _cells(path: Path) -> Iterator[str]:
    report = json.loads(path.read_text())
    total, bdd, speed = report["sum"], report["bdd100k"]["summary"], report["speed"]
    for rate in ("hota", "deta", "assa", "smotsa", "motsa", "idf1"):
        yield "-" if total[rate] is None else f"{100 * total[rate]:.1f}"
    yield str(total["id_switches"])
    for rate in ("mMOTA", "mMOTP", "mIDF1"):
        yield f"{bdd[rate]:.1f}"
    yield f"{1 / speed['mean']:.1f}"
    yield from (f"{1000 * speed[p]:.0f}" for p in ("p50", "p95"))
    yield f"{report['provenance']['peak_memory_mb']:.0f}"


def _options() -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    add = parser.add_argument
    add(
        "--model",
        type=Path,
        default=ROOT / "models/pcan_street_tiny",
        help="exported model, with its weights",
    )
    add("--config", default="pcan_street_tiny", help="its configuration, for torch")
    add("--shared", type=Path, default=ROOT.parent / "shared/data", help="folder with the real clips")
    add("--work", type=Path, required=True, help="folder for drives, answers and reports")
    add("--length", type=int, default=12, help="frames of a synthetic drive (default: 12)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
