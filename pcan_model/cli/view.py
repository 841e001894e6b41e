"""`pcan-view`: write a local web page to look through a run, or to compare two."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tqdm import tqdm

from pcan_model.cli.arguments import add_options, command_parser, read_options
from pcan_model.cli.run import run
from pcan_model.core.config import ConfigError
from pcan_model.core.fields import about, setting
from pcan_model.data.registry import FORMATS, open_clips
from pcan_model.viewer.build import WritePictures, write_view
from pcan_model.viewer.runs import read_run

EXPLANATION = """\
Write a web page to look through a run frame by frame: masks, classes and ids, ground truth, errors over
time, and the worst moments; two runs of the same clips are shown side by side.

  pcan-evaluate models/mine --engine onnx --data drives --out runs/mine
  pcan-view runs/mine --data drives --out view                     open view/index.html in a browser
  pcan-view runs/before runs/mine --data drives --out compared
  pcan-track drive.mp4 --no-video --write coco:found.json && pcan-view found.json --data drive.mp4 --out view

A RUN is the folder of pcan-evaluate --out, or a file of pcan-track --write coco:FILE. The page consists of
files only: it needs no server and no network. Keys: left, right, space. With --prototypes the images are
also tracked by these weights, and a click on an object shows what its prototypes attend to.
"""


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """The runs, their images, and the page to write."""

    runs: tuple[Path, ...] = field(metadata=about("one run, or two to compare"))
    data: Path = field(metadata=about("data set, video or folder of images that was tracked"))
    out: Path = setting(Path("view"), "folder to write; must not exist", writes=True)
    format: str = setting("auto", "format of the data set", choices=("auto", *FORMATS))
    split: str | None = setting(None, "split of the data set, such as val (default: all)")
    prototypes: Path | None = setting(
        None,
        "checkpoint (.safetensors) to track the images with: a click on an object shows its prototypes "
        "(needs PyTorch)",
    )
    width: int = setting(960, "largest width of the written images", unit="pixels", low=16)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pcan-view`; returns the exit code."""
    return run("pcan-view", _view, arguments)


def _view(arguments: Sequence[str]) -> None:
    options = read_options(ViewOptions, _parser().parse_args(arguments))
    if len(options.runs) > 2:
        raise ConfigError(f"runs: expected one, or two to compare; got {len(options.runs)}")
    runs = [read_run(path) for path in options.runs]
    clips = open_clips(options.data, options.format, split=options.split)
    pictures = _pictures(options.prototypes) if options.prototypes else None
    with tqdm(unit="image", desc="view") as bar:
        page = write_view(
            runs, clips, options.out, width=options.width, pictures=pictures, progress=bar.update
        )
    print(f"written: {page}")


def _pictures(weights: Path) -> WritePictures:
    """Return what draws the prototypes; PyTorch is imported only here."""
    from pcan_model.factory import make_net
    from pcan_model.viewer.prototypes import write_pictures
    from pcan_model.visualization.attention_maps import load

    return partial(write_pictures, load(weights, make_net))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("pcan-view", EXPLANATION)
    add_options(parser, ViewOptions, positional=("runs",), metavars={"runs": "RUN"})
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
