"""`pcan-export`: export a trained network as two ONNX graphs of static shape, checked against torch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pcan_model.cli.arguments import add_options, command_parser, read_options
from pcan_model.cli.run import run
from pcan_model.core.fields import about, setting
from pcan_model.export.options import ExportOptions

EXPLANATION = """\
Export a checkpoint as the model folder that the node runs: frame.onnx, instance.onnx,
weights.safetensors (fp16, referenced by the graphs) and manifest.json; then compare it with torch.

  pcan-export --weights runs/street/weights.safetensors --out models/pcan_street
  pcan-export --weights runs/street/weights.safetensors --roi gridsample --precision int8 \\
    --calibration data/street#plaza,kitti_0926 data/drives --out models/tiny_int8

For TensorRT, with three cameras of 720 x 1280 that send bgr8:

  pcan-export --weights runs/street/weights.safetensors --out models/robot --roi gridsample \\
    --precision fp16 --cameras 3 --camera 720 1280 --order bgr

The released variant (docs/released.md) for TensorRT, with 2 x 2 samples per RoI cell and images of one
size:

  pcan-export --weights converted.safetensors --roi gridsample --out models/released

int8 and fp8 need about fifty images from the robot's environment for calibration, never those of the
evaluation; such graphs contain their own weights.
"""


@dataclass(frozen=True, slots=True)
class ExportFiles:
    """What an export reads and writes."""

    out: Path = field(metadata=about("folder to write, or an exported model to replace", writes=True))
    weights: Path | None = setting(None, "checkpoint of pcan-train; without it random weights")
    calibration: tuple[str, ...] = setting((), "images for int8 and fp8: data sets, bags, videos or folders")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-export`; returns the exit code."""
    return run("pcan-export", _export, arguments)


def _export(arguments: Sequence[str]) -> None:
    parsed = _parser().parse_args(arguments)
    from pcan_model.export.checkpoint_export import (
        export_checkpoint,  # imported late: --help does not need torch
    )

    options, files = read_options(ExportOptions, parsed), read_options(ExportFiles, parsed)
    lines = export_checkpoint(
        files.out, options, config=parsed.config, weights=files.weights, calibration=files.calibration
    )
    for line in lines:
        print(line)
    print(f"exported: {files.out}")


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("pcan-export", EXPLANATION)
    parser.add_argument("config", nargs="?", help="preset or YAML file (default: the one in the checkpoint)")
    metavars: dict[str, str | tuple[str, ...]] = {
        "size": ("H", "W"),
        "cameras": "N",
        "camera": ("HEIGHT", "WIDTH"),
        "calibration": "PATH[@SPLIT][#VIDEO,…]",
    }
    add_options(parser, ExportFiles, metavars=metavars)
    add_options(parser, ExportOptions, metavars=metavars)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
