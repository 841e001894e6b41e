"""`pcan-train`: train a configuration on data sets, in one process or many."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from pcan_model.cli.arguments import add_options, command_parser, read_options
from pcan_model.cli.run import run
from pcan_model.core.config import load_config
from pcan_model.training.options import TrainOptions

EXPLANATION = """\
Train PCAN on the clips below each PATH (images/<video>/*.jpg, labels/<video>.json, as in BDD100K
seg_track), or on its single images (images/*.jpg, annotation_rle.json).

  pcan-train pcan_street_tiny --data street:1 drives:0.5 --hold-out b1c66a42 --out runs/street
  pcan-train pcan_street_tiny --data street#plaza:0.5 street#kitti_0926,highway_white:1 --out runs/part
  torchrun --nproc_per_node 4 -m pcan_model.cli.train pcan_r50_bdd100k --data bdd100k --batch 16

Writes weights.safetensors, resume.pt and TensorBoard events to --out. The learning rate of a
configuration is for its own batch size and scales with --batch.
"""
METAVARS = {"data": "PATH[@FORMAT][@SPLIT][#VIDEO,…][:WEIGHT]", "hold_out": "VIDEO", "fresh": "PART"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-train`; returns the exit code."""
    return run("pcan-train", _train, arguments)


def _train(arguments: Sequence[str]) -> None:
    parsed = _parser().parse_args(arguments)
    from pcan_model.factory import make_training  # imported late: --help does not need torch
    from pcan_model.training.trainer import train

    config, options = load_config(parsed.config), read_options(TrainOptions, parsed)
    if options.iterations:
        config = replace(config, train=replace(config.train, iterations=options.iterations))
    folder = train(config, options, make_training)
    print(f"trained: {folder / 'weights.safetensors'}")


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("pcan-train", EXPLANATION)
    parser.add_argument("config", help="preset (pcan_street, pcan_r50_bdd100k, …) or a YAML file")
    add_options(parser, TrainOptions, metavars=METAVARS)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
