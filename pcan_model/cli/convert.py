"""`pcan-convert`: convert a published checkpoint (released PCAN, YOLOX-Nano, SipMask) to a preset of ours."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pcan_model.cli.arguments import add_options, command_parser, read_options
from pcan_model.cli.run import run
from pcan_model.core.config import load_config
from pcan_model.core.fields import about, setting

PRESET = "pcan_released_bdd100k"
YOLOX, YOLOX_PRESET = ".onnx", "pcan_street"
EXPLANATION = """\
Convert the checkpoint of the released PCAN (BDD100K, ResNet-50; published by its authors in the model
zoo of github.com/SysCV/pcan) to weights of the preset pcan_released_bdd100k.

  pcan-convert pcan_pretrained_model.pth --out weights.safetensors
  pcan-evaluate pcan_released_bdd100k --weights weights.safetensors --data bdd100k/val

Or convert YOLOX-Nano (ONNX, trained on COCO) to weights of the preset pcan_street: the detector works
without training, masks and identities need training.

  pcan-convert yolox_nano.onnx --out start.safetensors
  pcan-train pcan_street --weights start.safetensors --data street --out runs/street

Or turn a checkpoint of SipMask-VIS (YouTube-VIS, ResNet-50) into a start of PCAN on it.

  pcan-convert vis_sipmask_ms_1x.pth --config pcan_r50_youtube_vis --out sipmask.safetensors
  pcan-train pcan_r50_youtube_vis --weights sipmask.safetensors --data youtube_vis@train_sub --out runs/pcan
"""


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """The checkpoint to convert."""

    checkpoint: Path = field(
        metadata=about("the .pth file of the released PCAN or of SipMask, or the .onnx file of YOLOX-Nano")
    )
    out: Path = setting(Path("weights.safetensors"), "file to write", writes=True)
    config: str | None = setting(
        None, f"preset or YAML file (default: {PRESET}, or {YOLOX_PRESET} for .onnx)"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-convert`; returns the exit code."""
    return run("pcan-convert", _convert, arguments)


def _convert(arguments: Sequence[str]) -> None:
    options = read_options(ConvertOptions, _parser().parse_args(arguments))
    import torch  # imported late: --help does not need it

    from pcan_model.released.convert_checkpoint import convert_file
    from pcan_model.sipmask.convert import convert_sipmask_file
    from pcan_model.training.one_stage.convert_yolox import convert_yolox_file

    torch.set_num_threads(1)
    yolox = options.checkpoint.suffix == YOLOX
    config = load_config(options.config or (YOLOX_PRESET if yolox else PRESET))
    others = convert_sipmask_file if config.detector == "sipmask" else convert_file
    count = (convert_yolox_file if yolox else others)(options.checkpoint, options.out, config)
    print(f"written: {options.out} ({count:,} parameters)")


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("pcan-convert", EXPLANATION)
    add_options(parser, ConvertOptions, positional=("checkpoint",))
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
